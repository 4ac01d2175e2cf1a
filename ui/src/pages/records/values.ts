/** What a form holds, and the parameters of a change that it makes. */

import type { Params } from '../../api/client';
import type { Field } from '../../api/operations';
import { t } from '../../texts';
import { refusalOf } from '../hardware/propertyString';

/** Texts; switches are 0 and 1. */
export type Values = Record<string, string>;

/** The values of a record, empty where it has none. */
export function valuesOf(record: object | undefined, names: string[]): Values {
  const row = (record ?? {}) as Record<string, unknown>;
  const texts = names.map((name): [string, string] => {
    const value = row[name];
    return [name, String(typeof value === 'boolean' ? Number(value) : (value ?? ''))];
  });
  return Object.fromEntries(texts);
}

/** The parameters of a change: what is empty now and was not is deleted. */
export function changeOf(values: Values, before: Values, digest?: string): Params {
  const set = Object.entries(values).filter(([, value]) => value !== '');
  const gone = Object.keys(before).filter((name) => before[name] !== '' && values[name] === '');
  return {
    ...Object.fromEntries(set),
    delete: gone.length > 0 ? gone.join(',') : undefined,
    digest,
  };
}

/** Why the value of a field cannot be right. */
export const refusalIn = (field: Field, values: Values) =>
  refusalOf(field, values[field.name] ?? '', t.hw);

/** Whether each field that must have a value has one, and none is refused. */
export const areWhole = (fields: Field[], values: Values) =>
  fields.every(
    (field) =>
      !refusalIn(field, values) && (field.optional === 1 || (values[field.name] ?? '') !== ''),
  );
