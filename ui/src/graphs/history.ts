/** The history of an object: rows of `rrddata`, and what is done with them. */

import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { api } from '../api/client';

export type Timeframe = 'hour' | 'day' | 'week' | 'month' | 'year';
export type Cf = 'AVERAGE' | 'MAX';

/** A row has the columns that are known. */
export type HistoryRow = { time: number } & Record<string, number | undefined>;

/** The seconds that a point is about. */
export const STEPS_S: Record<Timeframe, number> = {
  hour: 60,
  day: 60,
  week: 1800,
  month: 1800,
  year: 21600,
};

/** Rows of the object at `path`; asked for again whenever there is a new one. */
export function useHistory(path: string, timeframe: Timeframe, cf: Cf) {
  return useQuery({
    queryKey: ['history', path, timeframe, cf],
    queryFn: ({ signal }) => api.get<HistoryRow[]>(`${path}/rrddata`, { timeframe, cf }, signal),
    placeholderData: (before, query) => (query?.queryKey[1] === path ? before : undefined),
    refetchInterval: Math.min(STEPS_S[timeframe], 600) * 1000,
  });
}

/** Whether anything is known at all. */
export function isKnown(rows: HistoryRow[], columns: string[]): boolean {
  return rows.some((row) => columns.some((column) => row[column] !== undefined));
}

/** Times and one list of values a column; what is unknown is null, which is drawn as a gap. */
export function aligned(
  rows: HistoryRow[],
  columns: { column: string; scale?: number }[],
): [number[], ...(number | null)[][]] {
  const values = columns.map(({ column, scale = 1 }) =>
    rows.map((row) => {
      const value = row[column];
      return value === undefined ? null : value * scale;
    }),
  );
  return [rows.map((row) => row.time), ...values];
}

/** The last, lowest, mean and highest of the known values; none without any. */
export function figures(values: (number | null)[]) {
  const known = values.filter((value) => value !== null);
  const last = known.at(-1);
  if (last === undefined) return undefined;
  const sum = known.reduce((all, value) => all + value, 0);
  return {
    last,
    least: known.reduce((least, value) => Math.min(least, value)),
    mean: sum / known.length,
    most: known.reduce((most, value) => Math.max(most, value)),
  };
}

/** How long points of the stream are kept: until rows have them. */
const TAIL_S = 180;

/** Rows, and behind them the points that are newer. */
export function withTail(rows: HistoryRow[], tail: HistoryRow[]): HistoryRow[] {
  const last = rows.at(-1)?.time ?? 0;
  return [...rows, ...tail.filter((point) => point.time > last)];
}

/** Collects what is measured now, for the end of an hour's graph. */
export function useTail(key: string, point: HistoryRow | undefined): HistoryRow[] {
  const [tail, setTail] = useState<HistoryRow[]>([]);
  const of = useRef(key);
  const time = point?.time;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a point is its time.
  useEffect(() => {
    setTail((before) => {
      const kept = of.current === key ? before : [];
      of.current = key;
      if (!point || kept.at(-1)?.time === point.time) return kept;
      return [...kept.filter((old) => old.time > point.time - TAIL_S), point];
    });
  }, [key, time]);
  return tail;
}
