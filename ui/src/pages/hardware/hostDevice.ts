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

/** By what a user may name a device: only root@pam other than by a mapping. What is so already is shown. */
export function sourcesFor<S extends string>(
  user: string | undefined,
  sources: readonly S[],
  now: S,
): S[] {
  return sources.filter((one) => one === 'mapping' || one === now || user === 'root@pam');
}
