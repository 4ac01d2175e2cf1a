import { TextInput } from '@mantine/core';
import { type ComponentType, useState } from 'react';
import type { Field } from '../../api/operations';
import { Segmented } from '../../parts/Segmented';
import { t } from '../../texts';
import { textOfKey } from '../../texts/fields';
import { FieldRow } from './FieldRow';
import { PciForm } from './PciForm';
import { type FormProps, Properties } from './Properties';
import { lacksPcie } from './pci';
import { parse, refusalOf } from './propertyString';
import { propertiesOfField } from './schema';
import { UsbForm } from './UsbForm';
import { VirtiofsForm } from './VirtiofsForm';

const HOSTPCI = /^hostpci\d+$/;

/** Keys whose properties are not said one by one. */
const FORMS: [RegExp, ComponentType<FormProps>][] = [
  [HOSTPCI, PciForm],
  [/^usb\d+$/, UsbForm],
  [/^virtiofs\d+$/, VirtiofsForm],
];

/** Values to offer for keys that take others as well. */
const OFFERS: Record<string, string[]> = {
  serial: ['socket', '/dev/ttyS0'],
  parallel: ['/dev/parport0', '/dev/usb/lp0'],
};

/** The first property that cannot be right, if any. */
export function refusalOfKey(
  name: string,
  field: Field,
  value: string,
  machine: string,
): string | undefined {
  const properties = propertiesOfField(field);
  if (!properties) return refusalOf(field, value, t.hw);
  if (HOSTPCI.test(name) && lacksPcie(field, value, machine)) return t.hw.pci.needsPcie;
  const values = parse(field, value);
  for (const one of properties) {
    const refusal = refusalOf(one, values.get(one.name) ?? '', t.hw);
    if (refusal) return refusal;
  }
}

/** The form of one key: its properties, or the one field that it is; or its text. */
export function KeyForm(props: FormProps) {
  const { name, field, value, was, error, onChange } = props;
  const [mode, setMode] = useState<'form' | 'text'>('form');
  const isSplit = propertiesOfField(field) !== undefined;
  const text = textOfKey(name);
  const Form = FORMS.find(([keys]) => keys.test(name))?.[1] ?? Properties;
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
        <Form {...props} />
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
          offers={OFFERS[name.replace(/\d+$/, '')]}
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
