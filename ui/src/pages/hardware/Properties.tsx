import { useState } from 'react';
import type { Field } from '../../api/operations';
import { t } from '../../texts';
import { type Text, textOfProperty } from '../../texts/fields';
import { FieldRow } from './FieldRow';
import { parse, print, refusalOf } from './propertyString';
import { propertiesOfField } from './schema';

/** Properties that few people set come last. */
const RARE =
  /^(bps|iops|mbps|aio|rerror|werror|serial|wwn|shared|import-from|detect_zeroes|snapshot|media|format|size|cyls|heads|secs|trans|queues|trunks|phys-bits|guest-phys|hv-vendor|legacy|(sub-)?(vendor|device)-id|romfile|aw-bits|model_|ms-cert|ro$|replicate)/;

export type FormProps = {
  name: string;
  /** Whose devices can be chosen. */
  node: string;
  /** The guest's key `machine`, as the next start has it. */
  machine: string;
  field: Field;
  value: string;
  was: string;
  /** What the server said about it. */
  error?: string;
  offers: Record<string, string[]>;
  onChange: (value: string) => void;
};

/** A field for each property of a key; some come last, behind a button. */
export function Properties({
  field,
  value,
  was,
  offers,
  onChange,
  without = [],
  texts = {},
  refusals = {},
}: Pick<FormProps, 'field' | 'value' | 'was' | 'offers' | 'onChange'> & {
  /** Properties that have fields of their own. */
  without?: string[];
  /** Words for properties that mean something else here. */
  texts?: Record<string, Text>;
  /** What is wrong with properties beside what the schema says. */
  refusals?: Record<string, string>;
}) {
  const [isAll, setIsAll] = useState(false);
  const all = propertiesOfField(field) ?? [];
  const properties = all.filter(({ name }) => !without.includes(name));
  const [values, before] = [parse(field, value), parse(field, was)];
  const isShown = (one: Field) => isAll || !RARE.test(one.name) || before.has(one.name);
  const shown = properties.filter(isShown);
  return (
    <>
      {shown.map((one) => {
        const text = texts[one.name] ?? textOfProperty(one.name);
        const own = values.get(one.name) ?? '';
        return (
          <FieldRow
            key={one.name}
            field={one}
            {...text}
            value={own}
            was={before.get(one.name) ?? ''}
            error={refusals[one.name] ?? refusalOf(one, own, t.hw)}
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
