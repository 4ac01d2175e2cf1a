/** What a node says of its disks, and of what is made of them. */

import { useQuery } from '@tanstack/react-query';
import { api, path } from '../../api/client';
import type { IconName } from '../../parts/Icon';

export type Disk = {
  devpath: string;
  /** The disk of a partition. */
  parent?: string;
  size: number;
  type?: string;
  rpm?: number;
  vendor?: string;
  model?: string;
  serial?: string;
  wwn?: string;
  gpt?: number;
  used?: string;
  health?: string;
  /** The part of its life that is left, in percent; or a text if it does not say. */
  wearout?: number | string;
};

export type Attribute = {
  id: string;
  name: string;
  value: number;
  worst: number;
  threshold: number;
  fail: string;
  raw: string;
};

export type Smart = { health: string; attributes?: Attribute[]; text?: string };

export type ThinPool = {
  lv: string;
  vg: string;
  lv_size: number;
  used: number;
  metadata_size: number;
  metadata_used: number;
};

export type Group = {
  name: string;
  size: number;
  free: number;
  lvcount?: number;
  children?: { name: string }[];
};

export type Folder = { path: string; device: string; type: string };

/** Something below the disks of a node. */
export function useDisks<T>(node: string, what: string, params: Record<string, string> = {}) {
  return useQuery({
    queryKey: ['node', node, 'disks', what, params],
    queryFn: ({ signal }) => api.get<T>(`${path('nodes', node)}/disks/${what}`, params, signal),
    // What is missing here, such as ZFS, is not there a moment later.
    retry: false,
  });
}

/** A disk before its partitions, as they are on it. */
export const partitionsOf = (disk: Disk, all: Disk[]) =>
  all.filter((one) => one.parent === disk.devpath);

/** Who uses a disk, or its partitions. */
export function usersOf(disk: Disk, all: Disk[]): string[] {
  const users = [disk, ...partitionsOf(disk, all)].flatMap((one) => one.used ?? []);
  const known = users.filter((user) => user !== 'partitions');
  return [...new Set(known.length > 0 ? known : users)];
}

/** The part of its life that is over, if it says so. */
export const wornOf = ({ wearout }: Disk) =>
  typeof wearout === 'number' ? Math.max(0, Math.min(1, 1 - wearout / 100)) : undefined;

type Tone = { tone: string; icon: IconName };

/** How bad a word of SMART or ZFS is. */
export function toneOfHealth(word: string): Tone {
  switch (word.toUpperCase()) {
    case 'PASSED':
    case 'OK':
    case 'ONLINE':
    case 'AVAIL':
    case 'INUSE':
      return { tone: 'running', icon: 'check' };
    case 'DEGRADED':
      return { tone: 'warning', icon: 'warn' };
    case 'UNKNOWN':
      return { tone: 'unknown', icon: 'unknown' };
    default:
      return { tone: 'error', icon: 'err' };
  }
}
