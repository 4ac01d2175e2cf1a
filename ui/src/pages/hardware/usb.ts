/** What a USB device of a guest is: the mapping, the id or the port that its key names. */

import type { Field } from '../../api/operations';
import { parse } from './propertyString';

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
