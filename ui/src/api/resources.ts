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

export type Inventory = {
  guests: Guest[];
  byVmid: Map<number, Guest>;
  nodes: NodeRow[];
  storages: StorageRow[];
  pools: PoolRow[];
  tags: string[];
};

export const EMPTY: Inventory = {
  guests: [],
  byVmid: new Map(),
  nodes: [],
  storages: [],
  pools: [],
  tags: [],
};

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

type Others = Pick<Inventory, 'nodes' | 'storages' | 'pools'>;

function othersOf(rows: Iterable<Row>): Others {
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
  return {
    ...othersOf(rows.values()),
    guests: sorted,
    byVmid: new Map(sorted.map((guest) => [guest.vmid, guest])),
    tags: tagsOf(sorted),
  };
}

/** The inventory after changes of guests that are all in it: their places stay. */
export function updated(
  before: Inventory,
  rows: Map<string, Row>,
  changed: Map<number, Guest>,
): Inventory {
  if (changed.size === 0) return { ...before, ...othersOf(rows.values()) };
  const guests = before.guests.map((guest) => changed.get(guest.vmid) ?? guest);
  const byVmid = new Map(before.byVmid);
  let isRetagged = false;
  for (const [vmid, guest] of changed) {
    isRetagged ||= before.byVmid.get(vmid)?.tags !== guest.tags;
    byVmid.set(vmid, guest);
  }
  const tags = isRetagged ? tagsOf(guests) : before.tags;
  return { ...othersOf(rows.values()), guests, byVmid, tags };
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
