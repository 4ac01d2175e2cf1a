/** The rows of the change stream and what is computed from them. */

export type GuestRow = {
  id: string;
  type: 'qemu' | 'lxc';
  vmid: number;
  node: string;
  status: string;
  name?: string;
  template?: number;
  cpu?: number;
  maxcpu?: number;
  mem?: number;
  maxmem?: number;
  disk?: number;
  maxdisk?: number;
  netin?: number;
  netout?: number;
  diskread?: number;
  diskwrite?: number;
  uptime?: number;
  pool?: string;
  tags?: string;
  lock?: string;
  hastate?: string;
};

export type NodeRow = {
  id: string;
  type: 'node';
  node: string;
  status: string;
  cpu?: number;
  maxcpu?: number;
  mem?: number;
  maxmem?: number;
  disk?: number;
  maxdisk?: number;
  uptime?: number;
};

export type StorageRow = {
  id: string;
  type: 'storage';
  storage: string;
  node: string;
  plugintype: string;
  content: string;
  shared: number;
  status: string;
  disk?: number;
  maxdisk?: number;
  'unreachable-since'?: number;
};

export type PoolRow = { id: string; type: 'pool'; pool: string };

/** Something that is wrong: `alert` is its id, and `object` what it is about, `storage/n1/local`. */
export type AlertRow = {
  id: string;
  type: 'alert';
  alert: string;
  node: string;
  severity: 'warning' | 'error';
  object: string;
  since: number;
  text: string;
  advice: string;
  acknowledged?: { by: string; at: number; comment?: string };
};

export type Row = GuestRow | NodeRow | StorageRow | PoolRow | AlertRow;

/** A guest's row with what the browser adds: words, sums and rates. */
export type Guest = GuestRow & {
  /** `name`, or what stands for it. */
  label: string;
  state: GuestState;
  /** What was asked of it and has not been seen yet, `starting`. */
  expected?: string;
  tagList: string[];
  /** What a filter looks for words in, in lower case. */
  words: string;
  /** When the row was received, for `uptime`. */
  seenAt: number;
  /** Bytes per second, in and out, since the row before; unknown at first. */
  netRate?: number;
  diskRate?: number;
};

export type GuestState =
  | 'running'
  | 'stopped'
  | 'paused'
  | 'busy'
  | 'error'
  | 'unknown'
  | 'template';

/** What there is. */
export type Outline = {
  /** In the order of their numbers. */
  guests: Guest[];
  byVmid: ReadonlyMap<number, Guest>;
  nodes: NodeRow[];
  storages: StorageRow[];
  pools: PoolRow[];
  tags: string[];
};

export type Inventory = Outline & {
  /** The same object while only figures change, and with those of its time. */
  outline: Outline;
};

const NOTHING: Outline = {
  guests: [],
  byVmid: new Map(),
  nodes: [],
  storages: [],
  pools: [],
  tags: [],
};
export const EMPTY: Inventory = { ...NOTHING, outline: NOTHING };

/** Locks under which something is happening to the guest. */
const BUSY = ['backup', 'clone', 'create', 'migrate', 'rollback', 'snapshot', 'snapshot-delete'];
const KNOWN: GuestState[] = ['running', 'stopped', 'paused', 'unknown'];

export function stateOf(row: GuestRow): GuestState {
  if (row.lock && BUSY.includes(row.lock)) return 'busy';
  if (row.template && row.status !== 'unknown') return 'template';
  if (row.status === 'suspended' || row.status === 'prelaunch') return 'paused';
  if (KNOWN.includes(row.status as GuestState)) return row.status as GuestState;
  return row.status.includes('error') ? 'error' : 'unknown';
}

function rate(now: number | undefined, before: number | undefined, ms: number) {
  if (now === undefined || before === undefined || ms < 1000 || now < before) return undefined;
  return ((now - before) * 1000) / ms;
}

function sum(a?: number, b?: number) {
  return a === undefined && b === undefined ? undefined : (a ?? 0) + (b ?? 0);
}

/** A guest from its row, the guest from the row before, and the time. */
export function guestOf(row: GuestRow, before: Guest | undefined, now: number): Guest {
  const ms = before ? now - before.seenAt : 0;
  const label = row.name || `${row.type === 'lxc' ? 'CT' : 'VM'} ${row.vmid}`;
  const isLive = before?.status === 'running' && row.status === 'running';
  const net = rate(sum(row.netin, row.netout), sum(before?.netin, before?.netout), ms);
  const disk = rate(sum(row.diskread, row.diskwrite), sum(before?.diskread, before?.diskwrite), ms);
  return {
    ...row,
    label,
    state: stateOf(row),
    tagList: row.tags ? row.tags.split(/[;, ]+/).filter(Boolean) : [],
    words: [row.vmid, label, row.node, row.tags, row.pool].join(' ').toLowerCase(),
    seenAt: now,
    netRate: isLive ? (net ?? before?.netRate) : undefined,
    diskRate: isLive ? (disk ?? before?.diskRate) : undefined,
  };
}

/** Counters that stand still are not sent: after this long without a row a rate is zero. */
const STILL_MS = 15_000;

/** A rate by now; unknown until it can have been measured. */
export function rateNow(rate: number | undefined, seenAt: number, now: number) {
  return now - seenAt > STILL_MS ? 0 : rate;
}

/** Seconds that a guest or node has been up by now. */
export function uptimeNow(uptime: number | undefined, seenAt: number, now: number): number {
  return uptime ? uptime + Math.max(0, Math.floor((now - seenAt) / 1000)) : 0;
}

/** What changes all the time, or follows from another field. */
const FIGURES: ReadonlySet<string> = new Set([
  'cpu',
  'mem',
  'disk',
  'netin',
  'netout',
  'diskread',
  'diskwrite',
  'uptime',
  'seenAt',
  'netRate',
  'diskRate',
  'tagList',
]);

function hasSameFields(a: object, b: object): boolean {
  for (const key in a) {
    const field = key as keyof object;
    if (a[field] !== b[field] && !FIGURES.has(key)) return false;
  }
  return true;
}

/** Whether at most figures of a row have changed. */
export const isSameButFigures = (before: Row | undefined, after: Row): boolean =>
  before !== undefined && hasSameFields(before, after) && hasSameFields(after, before);

type Others = Pick<Outline, 'nodes' | 'storages' | 'pools'>;

export function othersOf(rows: Iterable<Row>): Others {
  const others: Others = { nodes: [], storages: [], pools: [] };
  for (const row of rows) {
    if (row.type === 'node') others.nodes.push(row);
    else if (row.type === 'storage') others.storages.push(row);
    else if (row.type === 'pool') others.pools.push(row);
  }
  others.nodes.sort((a, b) => a.node.localeCompare(b.node));
  others.storages.sort((a, b) => a.id.localeCompare(b.id));
  others.pools.sort((a, b) => a.pool.localeCompare(b.pool));
  return others;
}

const tagsOf = (guests: Guest[]) => [...new Set(guests.flatMap((guest) => guest.tagList))].sort();

export function inventoryOf(rows: Map<string, Row>, guests: Map<string, Guest>): Inventory {
  const sorted = [...guests.values()].sort((a, b) => a.vmid - b.vmid);
  const outline = {
    ...othersOf(rows.values()),
    guests: sorted,
    byVmid: new Map(sorted.map((guest) => [guest.vmid, guest])),
    tags: tagsOf(sorted),
  };
  return { ...outline, outline };
}

/** The place of a guest in a list in the order of numbers. */
function placeOf(guests: Guest[], vmid: number): number {
  let [from, to] = [0, guests.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((guests[middle]?.vmid ?? 0) < vmid) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** What messages have changed of an inventory; the same guests are in it. */
export type Changes = {
  guests: Guest[];
  /** Nodes, storages and pools, if there are others. */
  others?: Others;
  /** Whether all that has changed are figures. */
  areFigures: boolean;
};

/** Thousands of guests stay where they are when some change: only those are looked at. */
export function updated(before: Inventory, changes: Changes): Inventory {
  const guests = before.guests.slice();
  // The map is the same one: a copy for each message would cost more than all the rest.
  const byVmid = before.byVmid as Map<number, Guest>;
  let isRetagged = false;
  for (const guest of changes.guests) {
    isRetagged ||= byVmid.get(guest.vmid)?.tags !== guest.tags;
    guests[placeOf(guests, guest.vmid)] = guest;
    byVmid.set(guest.vmid, guest);
  }
  const { nodes, storages, pools } = changes.others ?? before;
  const tags = isRetagged ? tagsOf(guests) : before.tags;
  const outline = { guests, byVmid, nodes, storages, pools, tags };
  return { ...outline, outline: changes.areFigures ? before.outline : outline };
}

export type Alert = Omit<AlertRow, 'type' | 'alert'>;

function alertOf({ type: _, alert, ...row }: AlertRow): Alert {
  return { ...row, id: alert };
}

/** The worst first. */
export const SEVERITIES: Alert['severity'][] = ['error', 'warning'];

/** What is not acknowledged comes first, then the worst, then the oldest. */
export function alertsOf(rows: Iterable<Row>): Alert[] {
  const alerts: Alert[] = [];
  for (const row of rows) if (row.type === 'alert') alerts.push(alertOf(row));
  const rank = (alert: Alert) => SEVERITIES.indexOf(alert.severity);
  return alerts.sort(
    (a, b) =>
      Number(Boolean(a.acknowledged)) - Number(Boolean(b.acknowledged)) ||
      rank(a) - rank(b) ||
      a.since - b.since,
  );
}
