/** A device of the host that a guest's key names: by its mapping, or as the host knows it. */

import type { Field } from '../../api/operations';
import { parse, print } from './propertyString';

/** The value with another device; what it says beside the device stays. */
export function withDevice(field: Field, value: string, source: string, name: string): string {
  if (name === '') return '';
  const values = parse(field, value);
  values.delete('mapping');
  values.delete('host');
  const device = new Map([[source === 'mapping' ? 'mapping' : 'host', name]]);
  return print(field, new Map([...device, ...values]));
}
