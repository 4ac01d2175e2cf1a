/** Axes: units, round values, words for times. */

import type { Timeframe } from './history';

export type Unit = 'percent' | 'number' | 'bytes' | 'bits' | 'byteRate';

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];
const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

type Scale = { factor: number; name: string };

/** One unit for all values of an axis. */
export function scaleOf(unit: Unit, highest: number): Scale {
  if (unit === 'percent') return { factor: 1, name: '%' };
  if (unit === 'number') return { factor: 1, name: '' };
  const step = unit === 'bytes' ? 1024 : 1000;
  let at = 0;
  while (highest >= step ** (at + 1) && at < PREFIXES.length - 1) at += 1;
  const names = {
    bytes: BINARY[at] ?? '',
    bits: `${PREFIXES[at]}b/s`,
    byteRate: `${PREFIXES[at]}B/s`,
  };
  return { factor: step ** at, name: names[unit] };
}

/** Three digits at most. */
export function digits(value: number): string {
  if (value === 0) return '0';
  const whole = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return String(Number(value.toFixed(whole)));
}

export function words(value: number, scale: Scale): string {
  const number = digits(value / scale.factor);
  return scale.name ? `${number} ${scale.name}` : number;
}

/** Marked values from 0 on, about four of them, round in the unit of the axis. */
export function marks(highest: number, factor: number): number[] {
  const most = highest / factor;
  if (most <= 0) return [0];
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((part) => part * power).find((one) => one >= rough) ?? power;
  const count = Math.floor(most / step + 1e-9);
  return Array.from({ length: count + 1 }, (_, at) => at * step * factor);
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: '2-digit', month: 'short' });
const month = new Intl.DateTimeFormat('en-GB', { month: 'short', year: 'numeric' });

/** A time below the axis. */
export function tickWord(timeframe: Timeframe, seconds: number): string {
  const date = new Date(seconds * 1000);
  if (timeframe === 'hour' || timeframe === 'day') return clock.format(date);
  return timeframe === 'year' ? month.format(date) : day.format(date);
}

/** A time at the cursor. */
export function timeWord(timeframe: Timeframe, seconds: number): string {
  const date = new Date(seconds * 1000);
  if (timeframe === 'hour') return clock.format(date);
  return `${day.format(date)}, ${clock.format(date)}`;
}
