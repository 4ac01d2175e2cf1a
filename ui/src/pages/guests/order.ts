/** The order of guests in the table. */

import type { Guest } from '../../api/resources';
import { rankOf, type Sorting } from './filters';

export const isLive = (guest: Guest) => guest.status !== 'stopped' && guest.state !== 'unknown';

type Value = string | number | undefined;

/** What each column is sorted by; what has no value comes last, whatever the direction. */
export const VALUES = {
  vmid: (guest) => guest.vmid,
  name: (guest) => guest.label.toLowerCase(),
  state: rankOf,
  node: (guest) => guest.node,
  cpu: (guest) => (isLive(guest) ? guest.cpu : undefined),
  mem: (guest) => (isLive(guest) ? guest.mem : undefined),
  net: (guest) => guest.netRate,
  disk: (guest) => guest.diskRate,
  uptime: (guest) => (isLive(guest) ? guest.uptime : undefined),
  pool: (guest) => guest.pool?.toLowerCase(),
  tags: (guest) => guest.tags?.toLowerCase(),
} satisfies Record<string, (guest: Guest) => Value>;

const columnOf = (id: string): ((guest: Guest) => Value) | undefined =>
  Object.hasOwn(VALUES, id) ? VALUES[id as keyof typeof VALUES] : undefined;

function compare(a: Value, b: Value, sign: number): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return a < b ? -sign : sign;
}

/** Guests that are in the order of their numbers, in another one. */
export function ordered(guests: Guest[], sorting: Sorting): Guest[] {
  const [first] = sorting;
  if (sorting.length === 1 && first?.id === 'vmid' && !first.desc) return guests;
  const keys = sorting.flatMap(({ id, desc }) => {
    const value = columnOf(id);
    return value ? [{ value, sign: desc ? -1 : 1 }] : [];
  });
  const rows = guests.map((guest) => ({ guest, values: keys.map(({ value }) => value(guest)) }));
  rows.sort((a, b) => {
    for (const [at, { sign }] of keys.entries()) {
      const order = compare(a.values[at], b.values[at], sign);
      if (order !== 0) return order;
    }
    return 0;
  });
  return rows.map(({ guest }) => guest);
}
