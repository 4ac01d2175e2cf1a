/** What a PCI device of a guest is: the mapping or the addresses that its key names. */

import type { Field } from '../../api/operations';
import { withDevice } from './hostDevice';
import { parse } from './propertyString';

export const SOURCES = ['mapping', 'address'] as const;
export type Source = (typeof SOURCES)[number];

/** By what a value names its device. */
export const sourceOf = (field: Field, value: string): Source =>
  parse(field, value).has('host') ? 'address' : 'mapping';

/** The name of the device, if the value names it so. */
export const nameIn = (field: Field, value: string, source: Source): string =>
  parse(field, value).get(source === 'mapping' ? 'mapping' : 'host') ?? '';

/** The value with another device: a type of mediated devices is one of the device before. */
export function withPci(field: Field, value: string, source: Source, name: string): string {
  const kept = value
    .split(',')
    .filter((part) => !part.startsWith('mdev='))
    .join(',');
  return withDevice(field, nameIn(field, value, source) === name ? value : kept, source, name);
}

const ADDRESS = /^(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}(\.[0-9a-f])?$/i;

/** Whether an address means all functions of its device; nothing for half an address or several. */
export function hasAllFunctions(address: string): boolean | undefined {
  const match = ADDRESS.exec(address);
  return match ? match[1] === undefined : undefined;
}

/** The address of all functions, or of the first one. */
export function withAllFunctions(address: string, isAll: boolean): string {
  const device = address.replace(/\.[0-9a-f]$/i, '');
  return isAll ? device : `${device}.0`;
}

/** The first device of an address, as a node lists it. */
export function listedAs(address: string): string {
  const [first = ''] = address.toLowerCase().split(';');
  const whole = /^[0-9a-f]{4}:/.test(first) ? first : `0000:${first}`;
  return whole.includes('.') ? whole : `${whole}.0`;
}

/** Whether a guest has PCI Express, by its key `machine`. */
export const hasPcie = (machine: string) => machine.includes('q35');

/** Whether a value wants PCI Express of a machine that has none. */
export const lacksPcie = (field: Field, value: string, machine: string) =>
  !hasPcie(machine) && parse(field, value).get('pcie') === '1';
