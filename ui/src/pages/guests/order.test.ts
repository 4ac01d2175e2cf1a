import { expect, it } from 'vitest';
import { type GuestRow, guestOf } from '../../api/resources';
import { sortingOf } from './filters';
import { ordered } from './order';

const guest = (vmid: number, more: Partial<GuestRow>) =>
  guestOf(
    { id: `qemu/${vmid}`, type: 'qemu', vmid, node: 'n1', status: 'running', ...more },
    undefined,
    0,
  );

it('guests are ordered by several columns, and what has no value comes last', () => {
  const guests = [
    guest(100, { status: 'stopped', cpu: 0 }),
    guest(101, { cpu: 0.2, name: 'b' }),
    guest(102, { cpu: 0.9, name: 'B' }),
    guest(103, { cpu: 0.9, name: 'a' }),
  ];
  const order = (sort?: string) => ordered(guests, sortingOf(sort)).map((one) => one.vmid);
  expect(order()).toEqual([100, 101, 102, 103]);
  expect(order('-vmid')).toEqual([103, 102, 101, 100]);
  expect(order('cpu')).toEqual([101, 102, 103, 100]);
  expect(order('-cpu,name')).toEqual([103, 102, 101, 100]);
  expect(order('unknown')).toEqual([100, 101, 102, 103]);
});
