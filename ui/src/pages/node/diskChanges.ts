/** What can be made of disks and undone again: the requests, and what cannot be right. */

import { type Method, type Params, path } from '../../api/client';
import { type Disk, type Folder, partitionsOf } from './disks';

/** What disks are made into, as the API calls it. */
export type Made = 'directory' | 'lvm' | 'lvmthin' | 'zfs';

export type DiskChange =
  | { kind: 'make'; made: Made }
  | { kind: 'wipe' | 'initgpt'; disk: Disk }
  | { kind: 'destroy'; made: Made; name: string; group?: string };

/** What the node offers to do with disks, below `disks/`, and how it is asked for. */
export type Actions = {
  offers: (method: string, below: string) => boolean;
  ask: (change: DiskChange) => void;
};

export type Request = { method: Exclude<Method, 'GET'>; address: string; params: Params };

/** Disks and partitions that nobody uses. */
export const freeOf = (all: Disk[]): Disk[] =>
  all.filter((disk) => !disk.used && partitionsOf(disk, all).length === 0);

/** The parameters of what is made, beside its disks. */
export const FIELDS: Record<Made, string[]> = {
  directory: ['name', 'filesystem', 'add_storage'],
  lvm: ['name', 'add_storage'],
  lvmthin: ['name', 'add_storage'],
  zfs: ['name', 'raidlevel', 'draid-config', 'compression', 'ashift', 'add_storage'],
};

/** The least number of disks of each kind of pool. */
const LEAST: Record<string, number> = {
  single: 1,
  mirror: 2,
  raid10: 4,
  raidz: 3,
  raidz2: 4,
  raidz3: 5,
  draid: 3,
  draid2: 4,
  draid3: 5,
};

type Texts = { atLeast: (count: number) => string; even: string };

/** Why these disks do not make such a pool. */
export function refusalOfDisks(level: string, count: number, texts: Texts): string | undefined {
  const least = LEAST[level] ?? 1;
  if (count < least) return texts.atLeast(least);
  if (level === 'raid10' && count % 2 === 1) return texts.even;
}

export const appliesTo = (field: string, level: string) =>
  field !== 'draid-config' || level.startsWith('draid');

const below = (node: string, what: string) => `${path('nodes', node)}/disks/${what}`;

export function makeRequest(
  node: string,
  made: Made,
  values: Record<string, string>,
  devices: string[],
): Request {
  const params: Params = {};
  for (const name of FIELDS[made]) {
    const value = values[name] ?? '';
    if (value !== '' && appliesTo(name, values.raidlevel ?? '')) params[name] = value;
  }
  if (made === 'zfs') params.devices = devices.join(',');
  else params.device = devices[0];
  return { method: 'POST', address: below(node, made), params };
}

export const wipeRequest = (node: string, disk: Disk): Request => ({
  method: 'PUT',
  address: below(node, 'wipedisk'),
  params: { disk: disk.devpath },
});

export const tableRequest = (node: string, disk: Disk): Request => ({
  method: 'POST',
  address: below(node, 'initgpt'),
  params: { disk: disk.devpath },
});

export function destroyRequest(
  node: string,
  { made, name, group }: Extract<DiskChange, { kind: 'destroy' }>,
  cleans: { config: boolean; disks: boolean },
): Request {
  return {
    method: 'DELETE',
    address: below(node, made) + path(name),
    params: {
      'volume-group': group,
      'cleanup-config': cleans.config ? 1 : undefined,
      'cleanup-disks': cleans.disks ? 1 : undefined,
    },
  };
}

/** The name of a directory that was made of a disk; others are not destroyed here. */
export const nameOfFolder = ({ path: at }: Folder): string | undefined =>
  /^\/mnt\/pve\/([^/]+)$/.exec(at)?.[1];

const VERBS = { POST: 'create', PUT: 'set', DELETE: 'delete' } as const;

/** The beginning of the same request at a shell. */
export const commandOfRequest = ({ method, address }: Request) =>
  `pvesh ${VERBS[method]} ${address}`;
