/** Pools of ZFS of a node: what it says of them, and the requests that change them. */

import { useQuery } from '@tanstack/react-query';
import { api, type Params, path } from '../../api/client';
import { dateTime } from '../../format';
import { zpools as words } from '../../texts/zpools';
import type { Request } from './diskChanges';

/** What reads all of a pool: a scrub, or the filling of a device. */
export type Scan = {
  kind: 'scrub' | 'resilver';
  state: 'running' | 'paused' | 'finished' | 'canceled';
  /** When it ended, or since when it runs or pauses. */
  at: number;
  /** In percent, before its end. */
  progress?: number;
  /** What it could not repair. */
  errors?: number;
  /** How much it has written anew, as ZFS says it: `12K`. */
  repaired?: string;
};

export type Zpool = {
  name: string;
  size: number;
  alloc: number;
  frag: number;
  dedup: number;
  compressratio: number;
  health: string;
  errors: string;
  status?: string;
  action?: string;
  scan?: Scan;
};

export type Device = {
  name: string;
  state?: string;
  guid?: string;
  message?: string;
  read?: number;
  write?: number;
  checksum?: number;
  children?: Device[];
};

export type WholePool = Zpool & { devices: Device[] };

/** The operations at a pool and at its devices, as the API calls them. */
type DeviceStep = 'attach' | 'replace' | 'detach' | 'online';
export type PoolStep = 'add' | 'clear' | 'scrub' | DeviceStep;
export type ScrubAction = 'start' | 'pause' | 'stop';

export type PoolChange =
  | { kind: 'add'; pool: string }
  | { kind: 'clear'; pool: string }
  | { kind: 'scrub'; pool: string; action: ScrubAction; isPaused?: boolean }
  | { kind: DeviceStep; pool: string; device: Device };

/** What can be done to pools here, and how it is asked for. */
export type PoolActions = {
  can: (step: PoolStep) => boolean;
  ask: (change: PoolChange) => void;
};

export const POOLS = '/ostler/nodes/{node}/pools';

const poolsPath = (node: string) => `${path('ostler', 'nodes', node)}/pools`;

/**
 * Progress is followed closely; otherwise pools are read as often as the node looks at them. Where
 * there was no answer, such as without ZFS, there is none a moment later.
 */
export function pauseOf(pools: Zpool[] | undefined): number | false {
  if (!pools) return false;
  return pools.some(({ scan }) => scan?.state === 'running') ? 2000 : 20_000;
}

export function useZpools(node: string) {
  return useQuery({
    queryKey: ['node', node, 'pools'],
    queryFn: ({ signal }) => api.get<Zpool[]>(poolsPath(node), {}, signal),
    refetchInterval: (query) => pauseOf(query.state.data),
    retry: false,
  });
}

export function useZpool(node: string, pool: string) {
  return useQuery({
    queryKey: ['node', node, 'pools', pool],
    queryFn: ({ signal }) => api.get<WholePool>(poolsPath(node) + path(pool), {}, signal),
    refetchInterval: (query) => pauseOf(query.state.data && [query.state.data]),
    retry: false,
  });
}

export type Placed = {
  device: Device;
  depth: number;
  key: string;
  /** What it is a part of. */
  parent?: Device;
  /** The pool itself, or what else it has: `logs`, `cache`, `spares`, … */
  top: string;
};

/** The devices of a pool, each below what it is a part of. */
export function placedDevices(devices: Device[], above?: Placed): Placed[] {
  return devices.flatMap((device) => {
    const placed = {
      device,
      depth: above ? above.depth + 1 : 0,
      key: `${above?.key ?? ''}/${device.name}`,
      parent: above?.device,
      top: above?.top ?? device.name,
    };
    return [placed, ...placedDevices(device.children ?? [], placed)];
  });
}

export const isOnline = ({ state }: Device) => state === 'ONLINE';

/** What makes sense at a device: caches and spares are no part of what the pool holds. */
export function stepsOf({ device, parent, top }: Placed, pool: string): DeviceStep[] {
  if (!parent || device.children?.length || ['cache', 'spares'].includes(top)) return [];
  const isInMirror = /^mirror-/.test(parent.name);
  const others = (parent.children ?? []).filter((one) => one !== device);
  const isPair = isInMirror || /^(replacing|spare)-/.test(parent.name);
  return [
    ...(isOnline(device) && (isInMirror || parent.name === pool) ? ['attach' as const] : []),
    'replace',
    ...(isPair && others.some(isOnline) ? ['detach' as const] : []),
    'online',
  ];
}

/** What can be done about scrubs: while a device is filled there is none. */
export function scrubsOf(scan: Scan | undefined): ScrubAction[] {
  if (scan?.state === 'running') return scan.kind === 'scrub' ? ['pause', 'stop'] : [];
  const isPaused = scan?.kind === 'scrub' && scan.state === 'paused';
  return isPaused ? ['start', 'stop'] : ['start'];
}

/** A scan in words, with what it has found once it has ended. */
export function textOfScan(scan: Scan | undefined, timeOf = dateTime): string {
  if (!scan) return words.noScan;
  const { kind, state, at, errors, repaired } = scan;
  const parts = [words.scans[state](kind, timeOf(at))];
  if (errors !== undefined) parts.push(errors > 0 ? words.left(errors) : words.noErrors);
  if (repaired && !/^0B?$/.test(repaired)) parts.push(words.written(repaired));
  return parts.join(', ');
}

/** What a change is called, at its button and in its dialog. */
export function verbOf(change: PoolChange): string {
  if (change.kind === 'online' && isOnline(change.device)) return words.grow;
  if (change.kind !== 'scrub') return words[change.kind];
  return change.isPaused && change.action === 'start' ? words.goOn : words[change.action];
}

/** What a change is done to. */
export const objectOf = (change: PoolChange): string =>
  'device' in change ? `${change.device.name}, ${change.pool}` : change.pool;

/** What a change needs beside what it is done to. */
export type Given = { disk?: string; expand?: boolean };

function paramsOf(change: PoolChange, { disk, expand }: Given): Params {
  if (change.kind === 'scrub') return { action: change.action };
  if (!('device' in change)) return {};
  // A device that is gone has no other name that is sure to be its own.
  const device = change.device.guid ?? change.device.name;
  switch (change.kind) {
    case 'attach':
    case 'replace':
      return { device, new: disk };
    case 'detach':
      return { device };
    case 'online':
      return { device, expand: expand ? 1 : undefined };
  }
}

export const poolRequest = (node: string, change: PoolChange, given: Given): Request => ({
  method: 'POST',
  address: poolsPath(node) + path(change.pool, change.kind),
  params: paramsOf(change, given),
});

/** What adding disks would bring, or has begun. */
export type AddPlan = {
  /** As ZFS takes it: a kind of group, then its disks. */
  layout: string[];
  size: number;
  'size-after': number;
  warnings: string[];
  upid?: string;
};

export const ADD_FIELDS = ['raidlevel', 'force'];

/** The request for the plan, or the one that carries it out. */
export function addRequest(
  node: string,
  pool: string,
  devices: string[],
  values: Record<string, string>,
  isDry: boolean,
): Request {
  const { address } = poolRequest(node, { kind: 'add', pool }, {});
  const params: Params = { devices: devices.join(',') };
  for (const name of ADD_FIELDS) if (values[name]) params[name] = values[name];
  return { method: 'POST', address, params: { ...params, 'dry-run': isDry ? 1 : 0 } };
}

/** The groups of a layout, each with its kind; disks without one stand alone. */
export function groupsOf(layout: string[]): string[] {
  const groups: { kind?: string; disks: string[] }[] = [];
  for (const word of layout) {
    const last = groups.at(-1);
    if (!word.startsWith('/')) groups.push({ kind: word, disks: [] });
    else if (last?.kind) last.disks.push(word);
    else groups.push({ disks: [word] });
  }
  return groups.map(({ kind, disks }) => [kind, disks.join(', ')].filter(Boolean).join(': '));
}
