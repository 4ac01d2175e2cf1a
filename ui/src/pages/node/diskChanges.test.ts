import { expect, it } from 'vitest';
import { destroyRequest, freeOf, makeRequest, nameOfFolder, refusalOfDisks } from './diskChanges';
import type { Disk } from './disks';

const ALL: Disk[] = [
  { devpath: '/dev/sda', size: 1, used: 'partitions' },
  { devpath: '/dev/sda1', parent: '/dev/sda', size: 1, used: 'ext4' },
  { devpath: '/dev/sda2', parent: '/dev/sda', size: 1 },
  { devpath: '/dev/sdb', size: 1 },
  { devpath: '/dev/sdc', size: 1, used: 'LVM' },
];

it('what nobody uses can be chosen, of a disk with partitions only these', () => {
  expect(freeOf(ALL).map(({ devpath }) => devpath)).toEqual(['/dev/sda2', '/dev/sdb']);
});

it('a kind of pool needs so many disks', () => {
  const texts = { atLeast: (count: number) => `${count}`, even: 'even' };
  const of = (level: string, count: number) => refusalOfDisks(level, count, texts);
  expect([of('single', 0), of('mirror', 1), of('raid10', 2), of('raidz2', 3)]).toEqual([
    '1',
    '2',
    '4',
    '4',
  ]);
  expect([of('raid10', 5), of('raid10', 6), of('draid', 3)]).toEqual([
    'even',
    undefined,
    undefined,
  ]);
});

it('the request has what makes sense for it', () => {
  const values = {
    name: 'tank',
    raidlevel: 'mirror',
    'draid-config': 'data=2',
    filesystem: 'xfs',
    ashift: '',
    add_storage: '1',
  };
  expect(makeRequest('a b', 'zfs', values, ['/dev/sdb', '/dev/sdd'])).toEqual({
    method: 'POST',
    address: '/nodes/a%20b/disks/zfs',
    params: { name: 'tank', raidlevel: 'mirror', add_storage: '1', devices: '/dev/sdb,/dev/sdd' },
  });
  expect(makeRequest('a', 'directory', values, ['/dev/sdb']).params).toEqual({
    name: 'tank',
    filesystem: 'xfs',
    add_storage: '1',
    device: '/dev/sdb',
  });
});

it('what is destroyed is named, and only directories that were made here', () => {
  const thin = { kind: 'destroy' as const, made: 'lvmthin' as const, name: 'data', group: 'vg0' };
  expect(destroyRequest('a', thin, { config: true, disks: false })).toEqual({
    method: 'DELETE',
    address: '/nodes/a/disks/lvmthin/data',
    params: { 'volume-group': 'vg0', 'cleanup-config': 1, 'cleanup-disks': undefined },
  });
  const names = ['/mnt/pve/tank', '/mnt/pve/a/b', '/srv/tank'].map((path) =>
    nameOfFolder({ path, device: '', type: '' }),
  );
  expect(names).toEqual(['tank', undefined, undefined]);
});
