import { describe, expect, it } from 'vitest';
import { type GuestRow, guestOf } from '../api/resources';
import { pointOf } from './guestNow';

const row = (more: Partial<GuestRow>): GuestRow => ({
  id: 'qemu/100',
  type: 'qemu',
  vmid: 100,
  node: 'n1',
  status: 'running',
  ...more,
});

describe('what a guest uses now', () => {
  it('has rates as soon as there are two rows', () => {
    const first = guestOf(row({ cpu: 0.5, netin: 1000 }), undefined, 10_000);
    expect(pointOf(first, undefined)).toEqual({ time: 10, cpu: 0.5, mem: undefined });
    const second = guestOf(row({ cpu: 0.25, netin: 6000 }), first, 15_000);
    expect(pointOf(second, first)).toMatchObject({ time: 15, cpu: 0.25, netin: 1000 });
  });
  it('has none over a restart of the guest', () => {
    const first = guestOf(row({ netin: 1000 }), undefined, 10_000);
    const second = guestOf(row({ netin: 10 }), first, 15_000);
    expect(pointOf(second, first).netin).toBeUndefined();
  });
});
