/** What the address says about the table of guests: filters and sort order. */

import type { Guest, GuestState } from '../../api/resources';

export const FILTER_KEYS = ['state', 'node', 'pool', 'tag'] as const;
export type FilterKey = (typeof FILTER_KEYS)[number];

/** Each filter is a list of values, one of which must match. */
export type GuestSearch = { q?: string; sort?: string } & Partial<Record<FilterKey, string>>;

export type Sorting = { id: string; desc: boolean }[];

export function guestSearchOf(search: Record<string, unknown>): GuestSearch {
  const result: GuestSearch = {};
  for (const key of ['q', 'sort', ...FILTER_KEYS] as const) {
    const value = search[key];
    if (typeof value === 'string' || typeof value === 'number') result[key] = String(value);
  }
  return result;
}

/** Values of one filter: separated by commas, each encoded. */
export const valuesOf = (search: GuestSearch, key: FilterKey): string[] =>
  search[key] ? search[key].split(',') : [];

/** The search with one value of a filter added, or removed. */
export function toggled(search: GuestSearch, key: FilterKey, value: string): GuestSearch {
  const values = valuesOf(search, key);
  const next = values.includes(value) ? values.filter((one) => one !== value) : [...values, value];
  return { ...search, [key]: next.length > 0 ? next.join(',') : undefined };
}

/** Whether a guest passes all filters; undefined if each does. */
export function matcherOf(search: GuestSearch): ((guest: Guest) => boolean) | undefined {
  const tests = (search.q ?? '')
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => (guest: Guest) => guest.words.includes(word));
  for (const key of FILTER_KEYS) {
    const wanted = new Set(valuesOf(search, key));
    if (wanted.size > 0) tests.push((guest) => OWN[key](guest).some((value) => wanted.has(value)));
  }
  return tests.length > 0 ? (guest) => tests.every((test) => test(guest)) : undefined;
}

/** What a guest has of each filter's values. */
const OWN: Record<FilterKey, (guest: Guest) => string[]> = {
  state: (guest) => [guest.state],
  node: (guest) => [guest.node],
  pool: (guest) => [guest.pool ?? ''],
  tag: (guest) => guest.tagList,
};

/** `state,-cpu` by state, then by CPU, largest first. */
export function sortingOf(sort: string | undefined): Sorting {
  if (!sort) return [{ id: 'vmid', desc: false }];
  return sort.split(',').map((part) => ({
    id: part.replace(/^-/, ''),
    desc: part.startsWith('-'),
  }));
}

export const sortOf = (sorting: Sorting): string | undefined =>
  sorting.map(({ id, desc }) => (desc ? `-${id}` : id)).join(',') || undefined;

/** What needs an eye comes first. */
const RANK: Record<GuestState, number> = {
  error: 0,
  busy: 1,
  unknown: 2,
  running: 3,
  paused: 4,
  stopped: 5,
  template: 6,
};

export const rankOf = (guest: Guest) => RANK[guest.state];

export function countStates(guests: Guest[]): Partial<Record<GuestState, number>> {
  const counts: Partial<Record<GuestState, number>> = {};
  for (const { state } of guests) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

/** The shown columns as a table for spreadsheets; a text that a spreadsheet would run is quoted. */
export function csvOf(head: string[], rows: (string | number)[][]): string {
  const cell = (value: string | number) => {
    if (typeof value === 'number') return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [head, ...rows].map((row) => row.map(cell).join(',')).join('\r\n');
}
