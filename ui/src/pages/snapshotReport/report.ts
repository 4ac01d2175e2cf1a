/** The snapshots of all guests: filters, and what of them a node would remove. */

import { ApiError, path } from '../../api/client';
import { errorText } from '../../api/tasks';

export const SNAPSHOTS = '/ostler/cluster/snapshots';
export const PRUNE = '/ostler/nodes/{node}/snapshots/prune';

export const prunePath = (node: string) => `/ostler${path('nodes', node, 'snapshots', 'prune')}`;

/** A snapshot, as the node lists it. */
export type Snapshot = {
  vmid: number;
  type: 'qemu' | 'lxc';
  guest?: string;
  node: string;
  name: string;
  description?: string;
  snaptime: number;
  /** Seconds. */
  age: number;
  /** The job that made it; none: it was made by hand. */
  job?: string;
  vmstate: number | boolean;
  snapstate?: string;
};

/** As the operation of a node names it. */
export const keyOf = ({ vmid, name }: Pick<Snapshot, 'vmid' | 'name'>) => `${vmid}:${name}`;

/** One that is being made is nobody's to remove. */
export const isRemovable = ({ snapstate }: Snapshot) => snapstate !== 'prepare';

/** The job of a filter for those that no job made; names of jobs begin with a letter. */
export const BY_HAND = '-';

const DAY_S = 86_400;

/** What the address says: an age in days, the number of a guest, a job. */
export type Search = { older?: string; guest?: string; job?: string };

export function searchOf(search: Record<string, unknown>): Search {
  const result: Search = {};
  for (const key of ['older', 'guest', 'job'] as const) {
    const value = search[key];
    if ((typeof value === 'string' || typeof value === 'number') && value !== '') {
      result[key] = String(value);
    }
  }
  return result;
}

/** Numbers as numbers: texts that look like one are quoted in an address. */
export function inAddress(search: Search): Record<string, string | number | undefined> {
  const pairs = Object.entries(search).map(([key, value]) => {
    const isNumber = value !== undefined && String(Number(value)) === value;
    return [key, isNumber ? Number(value) : value || undefined];
  });
  return Object.fromEntries(pairs);
}

/** The days of a filter; none if there is none, nothing else if it is no number of days. */
export function daysOf(older: string | undefined): number | undefined {
  const text = older?.trim() ?? '';
  if (text === '') return undefined;
  const days = Number(text.replace(',', '.'));
  return days >= 0 ? days : Number.NaN;
}

/** What the filters let through, in its order. An age that is no number lets nothing through. */
export function filtered(all: Snapshot[], { older, guest, job }: Search): Snapshot[] {
  const days = daysOf(older);
  return all.filter(
    (one) =>
      (days === undefined || one.age > days * DAY_S) &&
      (guest === undefined || String(one.vmid) === guest) &&
      (job === undefined || (one.job ?? BY_HAND) === job),
  );
}

/** The guests that have snapshots, in the order of their numbers. */
export function guestsIn(all: Snapshot[]): [number, string][] {
  const names = new Map(all.map(({ vmid, guest }) => [vmid, guest ?? '']));
  return [...names].sort(([a], [b]) => a - b);
}

/** The jobs that have made some. */
export const jobsIn = (all: Snapshot[]): string[] =>
  [...new Set(all.flatMap(({ job }) => job ?? []))].sort();

/** The length that a node takes of a list. */
const MOST_LETTERS = 65_536;

export const listOf = (snapshots: Snapshot[]) => snapshots.map(keyOf).join(',');

export type Part = { node: string; snapshots: Snapshot[] };

/** What each node is asked for, in the order of nodes; more than a request takes is asked in parts. */
export function partsOf(snapshots: Snapshot[], most = MOST_LETTERS): Part[] {
  const parts: Part[] = [];
  const ordered = [...snapshots].sort((a, b) => a.node.localeCompare(b.node) || a.vmid - b.vmid);
  let letters = 0;
  for (const one of ordered) {
    const own = keyOf(one).length + 1;
    const last = parts.at(-1);
    if (last && last.node === one.node && letters + own <= most) {
      last.snapshots.push(one);
      letters += own;
    } else {
      parts.push({ node: one.node, snapshots: [one] });
      letters = own;
    }
  }
  return parts;
}

export type Refused = { snapshots: Snapshot[]; reason: string };
export type Plan = { goes: Part[]; refused: Refused[] };

/** Answers what would go. */
type Ask = (part: Part) => Promise<Snapshot[]>;

/** Whether a refusal may be because of one of several. */
const isOfOne = ({ status }: ApiError) => status === 400 || status === 403;

/** Snapshots in halves, between guests if they are of several. */
function halves({ node, snapshots }: Part): [Part, Part] {
  let middle = snapshots.length >> 1;
  const isWithin = (at: number) => snapshots[at]?.vmid === snapshots[at - 1]?.vmid;
  let at = middle;
  while (at > 0 && isWithin(at)) at -= 1;
  if (at === 0) {
    at = middle;
    while (at < snapshots.length && isWithin(at)) at += 1;
  }
  if (at > 0 && at < snapshots.length) middle = at;
  const part = (some: Snapshot[]): Part => ({ node, snapshots: some });
  return [part(snapshots.slice(0, middle)), part(snapshots.slice(middle))];
}

/** A node refuses a whole list because of one: halves are asked until it is alone with its reason. */
async function planOfPart(part: Part, ask: Ask, plan: Plan): Promise<void> {
  try {
    plan.goes.push({ node: part.node, snapshots: await ask(part) });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const [first] = part.snapshots;
    const isOneGuest = part.snapshots.every(({ vmid }) => vmid === first?.vmid);
    // A right is missing on the whole guest.
    const isWhole = isOneGuest && error.status === 403;
    if (part.snapshots.length === 1 || isWhole || !isOfOne(error)) {
      plan.refused.push({ snapshots: part.snapshots, reason: errorText(error) });
      return;
    }
    for (const half of halves(part)) await planOfPart(half, ask, plan);
  }
}

/** What each node would remove, and what it refuses with its reason. */
export async function planOf(snapshots: Snapshot[], ask: Ask): Promise<Plan> {
  const plan: Plan = { goes: [], refused: [] };
  for (const part of partsOf(snapshots)) await planOfPart(part, ask, plan);
  // One task a node again, where it was asked in halves.
  return { ...plan, goes: partsOf(plan.goes.flatMap((part) => part.snapshots)) };
}

export const countOf = (parts: { snapshots: Snapshot[] }[]) =>
  parts.reduce((sum, { snapshots }) => sum + snapshots.length, 0);

export type Sent = { left: Snapshot[]; failures: [string, unknown][] };

/** Asks each node to remove its own; one that fails does not hold up the others. */
export async function sendAll(
  parts: Part[],
  send: (part: Part) => Promise<unknown>,
): Promise<Sent> {
  const sent: Sent = { left: [], failures: [] };
  for (const part of parts) {
    try {
      await send(part);
    } catch (error) {
      sent.left.push(...part.snapshots);
      sent.failures.push([part.node, error]);
    }
  }
  return sent;
}
