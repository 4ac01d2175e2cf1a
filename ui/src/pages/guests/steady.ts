/** Rows keep their places under a pointer that moves; they move when it rests or leaves. */

import { useEffect, useMemo, useRef, useState } from 'react';

const REST_MS = 2000;

/** The rows in the order of ids; rows that are not named come last, in their own order. */
export function inOrder<T extends { id: string }>(rows: T[], ids: string[]): T[] {
  const places = new Map(ids.map((id, place) => [id, place]));
  const place = (row: T) => places.get(row.id) ?? ids.length;
  return rows.toSorted((a, b) => place(a) - place(b));
}

/** `key` says by what the rows are sorted and filtered: another key is another order at once. */
export function useSteady<T extends { id: string }>(rows: T[], key: string) {
  const [held, setHeld] = useState<{ key: string; ids: string[] }>();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const release = () => {
    clearTimeout(timer.current);
    setHeld(undefined);
  };
  const hold = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(release, REST_MS);
    if (held?.key !== key) setHeld({ key, ids: rows.map((row) => row.id) });
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  const steady = useMemo(
    () => (held?.key === key ? inOrder(rows, held.ids) : rows),
    [rows, held, key],
  );
  return { rows: steady, hold, release };
}
