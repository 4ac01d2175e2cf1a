/** What differs between virtual machines and containers; pages ask here and are the same for both. */

import type { GuestRow } from '../api/resources';

export type GuestType = GuestRow['type'];

type Kind = {
  /** The program that does the same at a shell. */
  command: string;
  /** The folder of its configuration file. */
  folder: string;
  /** The operation that changes its configuration. */
  configure: { name: string; method: 'post' | 'put' };
  /** The parameter that names it. */
  name: string;
  /** What a storage must take to have its disks. */
  content: string;
  /** Keys of its disks, and the property that has the volume. */
  disks: RegExp;
  volume: string;
  /** The last part of the path that moves a disk to another storage, and the disk's parameter. */
  move: { path: string; disk: string };
};

export const KINDS: Record<GuestType, Kind> = {
  qemu: {
    command: 'qm',
    folder: 'qemu-server',
    configure: { name: 'qemu_configure', method: 'post' },
    name: 'name',
    content: 'images',
    disks: /^(ide|sata|scsi|virtio)\d+$/,
    volume: 'file',
    move: { path: 'move_disk', disk: 'disk' },
  },
  lxc: {
    command: 'pct',
    folder: 'lxc',
    configure: { name: 'lxc_configure', method: 'put' },
    name: 'hostname',
    content: 'rootdir',
    disks: /^(rootfs|mp\d+)$/,
    volume: 'volume',
    move: { path: 'move_volume', disk: 'volume' },
  },
};
