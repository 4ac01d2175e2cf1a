import { TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Field } from '../../api/operations';
import { Segmented } from '../../parts/Segmented';
import { t } from '../../texts';
import { textOfKey, textOfProperty } from '../../texts/fields';
import { FieldRow } from './FieldRow';
import { parse, print, refusalOf } from './propertyString';
import { propertiesOfField } from './schema';
import { UsbForm } from './UsbForm';

/** Properties that few people set come last. */
const RARE =
  /^(bps|iops|mbps|aio|rerror|werror|serial|wwn|shared|import-from|detect_zeroes|snapshot|media|format|size|cyls|heads|secs|trans|queues|trunks|phys-bits|guest-phys|hv-vendor|legacy|aw-bits|model_|ms-cert|ro$|replicate)/;

export type FormProps = {
  name: string;
  /** Whose devices can be chosen. */
  node: string;
  field: Field;
  value: string;
  was: string;
  /** What the server said about it. */
  error?: string;
  offers: Record<string, string[]>;
  onChange: (value: string) => void;
};

/** The first property that cannot be right, if any. */
export function refusalOfKey(field: Field, value: string): string | undefined {
  const properties = propertiesOfField(field);
  if (!properties) return refusalOf(field, value, t.hw);
  const values = parse(field, value);
  for (const one of properties) {
    const refusal = refusalOf(one, values.get(one.name) ?? '', t.hw);
    if (refusal) return refusal;
  }
}

function Properties({ field, value, was, offers, onChange }: FormProps) {
  const [isAll, setIsAll] = useState(false);
  const properties = propertiesOfField(field) ?? [];
  const [values, before] = [parse(field, value), parse(field, was)];
  const isShown = (one: Field) => isAll || !RARE.test(one.name) || before.has(one.name);
  const shown = properties.filter(isShown);
  return (
    <>
      {shown.map((one) => {
        const text = textOfProperty(one.name);
        const own = values.get(one.name) ?? '';
        return (
          <FieldRow
            key={one.name}
            field={one}
            {...text}
            value={own}
            was={before.get(one.name) ?? ''}
            error={refusalOf(one, own, t.hw)}
            offers={offers[one.name]}
            unset={t.hw.unset}
            onChange={(next) => {
              const changed = new Map(values);
              if (next === '' && one.optional) changed.delete(one.name);
              else changed.set(one.name, next);
              onChange(print(field, changed));
            }}
          />
        );
      })}
      {shown.length < properties.length && (
        <button type="button" className="lnk more" onClick={() => setIsAll(true)}>
          {t.hw.more(properties.length - shown.length)}
        </button>
      )}
    </>
  );
}

/** The form of one key: its properties, or the one field that it is; or its text. */
export function KeyForm(props: FormProps) {
  const { name, field, value, was, error, onChange } = props;
  const [mode, setMode] = useState<'form' | 'text'>('form');
  const isSplit = propertiesOfField(field) !== undefined;
  const text = textOfKey(name);
  return (
    <div className="fbody">
      {isSplit && (
        <div className="fmode">
          <span className="hint grow">{text.hint}</span>
          <Segmented
            label={text.label}
            value={mode}
            options={[
              ['form', t.hw.form],
              ['text', t.hw.text],
            ]}
            onChange={setMode}
          />
        </div>
      )}
      {isSplit && mode === 'form' ? (
        /^usb\d+$/.test(name) ? (
          <UsbForm {...props} />
        ) : (
          <Properties {...props} />
        )
      ) : isSplit ? (
        <TextInput
          aria-label={name}
          className="mono-in"
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      ) : (
        <FieldRow
          field={{ ...field, name }}
          {...text}
          value={value}
          was={was}
          error={error ?? refusalOf(field, value, t.hw)}
          unset={t.hw.unset}
          onChange={onChange}
        />
      )}
      {isSplit && error && (
        <p className="hint e" role="alert">
          {error}
        </p>
      )}
    </div>
  );
}
