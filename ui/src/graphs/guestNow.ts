/** What a guest uses now, from two rows of the change stream. */

import { useEffect, useState } from 'react';
import type { Guest } from '../api/resources';
import type { HistoryRow } from './history';

const COUNTERS = ['netin', 'netout', 'diskread', 'diskwrite'] as const;

/** A row of history; its rates are what the counters grew by since `before`. */
export function pointOf(guest: Guest, before: Guest | undefined): HistoryRow {
  const point: HistoryRow = {
    time: Math.floor(guest.seenAt / 1000),
    cpu: guest.cpu,
    mem: guest.mem,
  };
  const seconds = before ? (guest.seenAt - before.seenAt) / 1000 : 0;
  for (const counter of COUNTERS) {
    const [now, then] = [guest[counter], before?.[counter]];
    if (now !== undefined && then !== undefined && now >= then && seconds >= 1) {
      point[counter] = (now - then) / seconds;
    }
  }
  return point;
}

/** None while the guest does not run. */
export function useGuestNow(guest: Guest): HistoryRow | undefined {
  const [seen, setSeen] = useState<{ guest: Guest; point: HistoryRow }>();
  const isRunning = guest.status === 'running';
  useEffect(() => {
    setSeen((last) => {
      if (!isRunning) return undefined;
      const before = last?.guest.id === guest.id ? last.guest : undefined;
      if (before?.seenAt === guest.seenAt) return last;
      return { guest, point: pointOf(guest, before) };
    });
  }, [guest, isRunning]);
  return seen?.point;
}
