import { expect, it } from 'vitest';
import { type Disk, toneOfHealth, usersOf, wornOf } from './disks';

const disk: Disk = { devpath: '/dev/sda', size: 1, used: 'partitions', wearout: 97 };
const all: Disk[] = [
  disk,
  { devpath: '/dev/sda1', parent: '/dev/sda', size: 1, used: 'BIOS boot' },
  { devpath: '/dev/sda2', parent: '/dev/sda', size: 1, used: 'LVM' },
  { devpath: '/dev/sda3', parent: '/dev/sda', size: 1, used: 'LVM' },
  { devpath: '/dev/sdb', size: 1, wearout: 'N/A' },
];

it('a disk is used by what uses its partitions', () => {
  expect(usersOf(disk, all)).toEqual(['BIOS boot', 'LVM']);
  expect(usersOf({ devpath: '/dev/sdc', size: 1, used: 'partitions' }, all)).toEqual([
    'partitions',
  ]);
  expect(usersOf(all[4] as Disk, all)).toEqual([]);
});

it('wear is what is over of a life, where a disk says so', () => {
  expect(wornOf(disk)).toBeCloseTo(0.03);
  expect(wornOf(all[4] as Disk)).toBeUndefined();
});

it('words of health have tones', () => {
  const words = ['PASSED', 'ONLINE', 'DEGRADED', 'UNKNOWN', 'FAULTED', 'FAILED!'];
  expect(words.map((word) => toneOfHealth(word).tone)).toEqual([
    'running',
    'running',
    'warning',
    'unknown',
    'error',
    'error',
  ]);
});
