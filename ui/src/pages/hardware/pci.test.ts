import { expect, it } from 'vitest';
import type { Field } from '../../api/operations';
import {
  hasAllFunctions,
  lacksPcie,
  listedAs,
  nameIn,
  type Source,
  sourceOf,
  withAllFunctions,
  withPci,
} from './pci';

const FIELD: Field = {
  name: 'hostpci[n]',
  format: {
    host: { type: 'string', optional: 1, default_key: 1 },
    mapping: { type: 'string', optional: 1 },
    mdev: { type: 'string', optional: 1 },
    pcie: { type: 'boolean', optional: 1 },
  },
};

it('a PCI device is named by a mapping or by addresses', () => {
  const of = (value: string) => {
    const source = sourceOf(FIELD, value);
    return `${source} ${nameIn(FIELD, value, source)}`;
  };
  expect(of('mapping=gpu,pcie=1')).toBe('mapping gpu');
  expect(of('host=0000:01:00.0;0000:02:00')).toBe('address 0000:01:00.0;0000:02:00');
  expect(of('01:00,pcie=1')).toBe('address 01:00');
  expect(of('')).toBe('mapping ');
  expect(nameIn(FIELD, '01:00', 'mapping')).toBe('');
});

it('another device takes the place of the one before, without the type of its parts', () => {
  const to = (source: Source, name: string) =>
    withPci(FIELD, 'mapping=gpu,mdev=nvidia-63,pcie=1', source, name);
  expect(to('address', '0000:01:00.0')).toBe('0000:01:00.0,pcie=1');
  expect(to('mapping', 'card')).toBe('mapping=card,pcie=1');
  expect(to('mapping', 'gpu')).toBe('mapping=gpu,mdev=nvidia-63,pcie=1');
  expect(to('mapping', '')).toBe('');
});

it('an address without a function means all of them', () => {
  expect(['01:00', '0000:01:00.1', '0000:01', '01:00;02:00', ''].map(hasAllFunctions)).toEqual([
    true,
    false,
    undefined,
    undefined,
    undefined,
  ]);
  expect(withAllFunctions('0000:01:00.1', true)).toBe('0000:01:00');
  expect(withAllFunctions('0000:01:00', false)).toBe('0000:01:00.0');
});

it('a device is found in the list of its node by its first address', () => {
  expect(['01:00', '0000:0A:00.1;0000:02:00', '0000:01:00'].map(listedAs)).toEqual([
    '0000:01:00.0',
    '0000:0a:00.1',
    '0000:01:00.0',
  ]);
});

it('PCI Express is a matter of the machine', () => {
  const lacks = (machine: string, value = 'mapping=gpu,pcie=1') => lacksPcie(FIELD, value, machine);
  expect([
    lacks(''),
    lacks('pc-i440fx-9.2'),
    lacks('q35'),
    lacks('pc-q35-9.2,viommu=intel'),
  ]).toEqual([true, true, false, false]);
  expect(lacks('', 'mapping=gpu,pcie=0')).toBe(false);
});
