/** Property strings: `default,key=value,…`, with the short forms that the schema allows. */

import type { Field } from '../../api/operations';

const entries = (field: Field) =>
  typeof field.format === 'object' ? Object.entries(field.format) : [];

/** The property whose key may be left out. */
export function defaultKeyOf(field: Field): string | undefined {
  return entries(field).find(([, one]) => one.default_key)?.[0];
}

/** `virtio=BC:…,bridge=vmbr0` as `model`, `macaddr`, `bridge`. */
export function parse(field: Field, text: string): Map<string, string> {
  const formats = new Map(entries(field));
  const values = new Map<string, string>();
  if (text === '') return values;
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    if (at < 0) {
      values.set(defaultKeyOf(field) ?? part, part);
      continue;
    }
    const [key, value] = [part.slice(0, at), part.slice(at + 1)];
    const { alias, keyAlias } = formats.get(key) ?? {};
    if (alias && keyAlias) values.set(keyAlias, key);
    values.set(alias ?? key, value);
  }
  return values;
}

/** The text of values: the default key first, and short forms where the schema has them. */
export function print(field: Field, values: Map<string, string>): string {
  const rest = new Map([...values].filter(([, value]) => value !== ''));
  const parts: string[] = [];
  const first = defaultKeyOf(field);
  if (first !== undefined && rest.has(first)) {
    const value = rest.get(first) ?? '';
    const short = entries(field).find(([key, one]) => key === value && one.keyAlias === first)?.[1];
    const other = short?.alias ? rest.get(short.alias) : undefined;
    if (short?.alias && other !== undefined) {
      parts.push(`${value}=${other}`);
      rest.delete(short.alias);
    } else {
      parts.push(value);
    }
    rest.delete(first);
  }
  for (const [key, value] of rest) parts.push(`${key}=${value}`);
  return parts.join(',');
}

export type Refusals = {
  atLeast: (n: number) => string;
  atMost: (n: number) => string;
  number: string;
};

/** Why a value cannot be right, by what the schema says; the server says the rest. */
export function refusalOf(field: Field, value: string, texts: Refusals): string | undefined {
  if (value === '' || (field.type !== 'integer' && field.type !== 'number')) return undefined;
  const number = Number(value);
  if (!Number.isFinite(number) || (field.type === 'integer' && !Number.isInteger(number))) {
    return texts.number;
  }
  if (field.minimum !== undefined && number < field.minimum) return texts.atLeast(field.minimum);
  if (field.maximum !== undefined && number > field.maximum) return texts.atMost(field.maximum);
}
