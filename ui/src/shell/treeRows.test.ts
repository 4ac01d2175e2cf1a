import { describe, expect, it } from 'vitest';
import { type GuestRow, guestOf, inventoryOf, type Row } from '../api/resources';
import { hasWords, treeRows } from './treeRows';

const guest = (vmid: number, more: Partial<GuestRow> = {}) => {
  const row = { id: `qemu/${vmid}`, type: 'qemu', vmid, node: 'n1', status: 'running', ...more };
  return guestOf(row as GuestRow, undefined, 0);
};

const rows: Row[] = [
  { id: 'node/n1', type: 'node', node: 'n1', status: 'online' },
  {
    id: 'storage/n1/local',
    type: 'storage',
    storage: 'local',
    node: 'n1',
    plugintype: 'dir',
    content: 'images',
    shared: 0,
    status: 'available',
  },
];
const guests = [
  guest(100, { name: 'web', pool: 'prod', tags: 'a;b' }),
  guest(101, { name: 'db', status: 'stopped' }),
];
const inventory = inventoryOf(
  new Map(rows.map((row) => [row.id, row])),
  new Map(guests.map((one) => [one.id, one])),
);
const labels = (options: Partial<Parameters<typeof treeRows>[1]>) =>
  treeRows(inventory, { arrange: 'node', closed: [], find: '', ...options }).map(
    (row) => `${'  '.repeat(row.depth)}${row.label}`,
  );

describe('tree', () => {
  it('has nodes with their guests and stores', () => {
    expect(labels({})).toEqual(['Datacenter', '  n1', '    web', '    db', '    Storage']);
    expect(labels({ closed: ['node/n1'] })).toEqual(['Datacenter', '  n1']);
    expect(labels({ closed: ['stores/n1'] }).at(-1)).toBe('      local');
  });
  it('has what is found, open', () => {
    expect(labels({ find: 'we', closed: ['node/n1'] })).toEqual(['Datacenter', '  n1', '    web']);
  });
  it('has a guest below each of its tags, those without at the end', () => {
    expect(labels({ arrange: 'tag' })).toEqual([
      'Datacenter',
      '  a',
      '    web',
      '  b',
      '    web',
      '  no tag',
      '    db',
    ]);
    expect(labels({ arrange: 'pool' }).slice(1, 3)).toEqual(['  prod', '    web']);
  });
});

it('finds all words in any order', () => {
  expect(hasWords('100 web-front prod', 'prod 10')).toBe(true);
  expect(hasWords('100 web-front', 'web x')).toBe(false);
});
