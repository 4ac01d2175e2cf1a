import type { Field } from '../../api/operations';
import type { Text } from '../../texts/fields';
import { FieldRow } from '../hardware/FieldRow';
import { refusalIn, type Values } from './values';
import { textOfParam } from './words';

/** The fields of a form one below the other, each with what was refused about it. */
export function FieldRows({
  fields,
  values,
  before,
  errors,
  offers = {},
  texts = {},
  onChange,
}: {
  fields: Field[];
  values: Values;
  /** None for something new: nothing is marked as changed. */
  before?: Values;
  /** What the server said about them. */
  errors: Record<string, string>;
  offers?: Record<string, string[]>;
  /** Words for fields that mean something else here. */
  texts?: Record<string, Text>;
  onChange: (values: Values) => void;
}) {
  return fields.map((field) => {
    const value = values[field.name] ?? '';
    return (
      <FieldRow
        key={field.name}
        field={field}
        {...(texts[field.name] ?? textOfParam(field.name))}
        value={value}
        was={before ? (before[field.name] ?? '') : value}
        error={errors[field.name] ?? refusalIn(field, values)}
        offers={offers[field.name]}
        onChange={(next) => onChange({ ...values, [field.name]: next })}
      />
    );
  });
}
