/** What a USB device of a guest is: the mapping, the id or the port that its key names. */

import type { Field } from '../../api/operations';
import { parse, print } from './propertyString';

export const SOURCES = ['mapping', 'id', 'port'] as const;
export type Source = (typeof SOURCES)[number];

/** By what a value names its device. */
export function sourceOf(field: Field, value: string): Source {
  const host = parse(field, value).get('host');
  if (host === undefined) return 'mapping';
  return host.includes('-') ? 'port' : 'id';
}

/** The name of the device, if it can be one of this kind; half of it may be typed so far. */
export function nameIn(field: Field, value: string, source: Source): string {
  const values = parse(field, value);
  if (source === 'mapping') return values.get('mapping') ?? '';
  const host = values.get('host') ?? '';
  return host.includes(source === 'id' ? '-' : ':') ? '' : host;
}

/** The value with another device; what it says beside the device stays. */
export function withUsb(field: Field, value: string, source: Source, name: string): string {
  if (name === '') return '';
  const values = parse(field, value);
  values.delete('mapping');
  values.delete('host');
  const device = new Map([[source === 'mapping' ? 'mapping' : 'host', name]]);
  return print(field, new Map([...device, ...values]));
}
