/** What the wizard asks, with defaults that suit most, and the request that it makes of it. */

import type { GuestType } from '../../actions/kinds';
import type { Params } from '../../api/client';
import { type Container, containerParams, containerProblems, emptyContainer } from './container';

export type Disk = {
  slot: string;
  storage: string;
  size: number;
  /** Empty: the storage has one format alone. */
  format: string;
  discard: boolean;
  ssd: boolean;
};
export type Net = { slot: string; bridge: string; vlan: string; model: string; firewall: boolean };
export type Source = 'iso' | 'image' | 'nothing';

export type Draft = {
  kind: GuestType;
  vmid: number;
  name: string;
  node: string;
  pool: string;
  tags: string[];
  source: Source;
  iso: string;
  image: string;
  ostype: string;
  cores: number;
  cpu: string;
  /** MiB */
  memory: number;
  bios: 'seabios' | 'ovmf';
  machine: 'i440fx' | 'q35';
  tpm: boolean;
  kvm: boolean;
  disks: Disk[];
  nets: Net[];
  serial: boolean;
  ciuser: string;
  cipassword: string;
  sshkeys: string;
  address: 'dhcp' | 'static';
  ip: string;
  gateway: string;
  onboot: boolean;
  agent: boolean;
  protection: boolean;
  start: boolean;
  /** What only a container has; the rest is of both, or of virtual machines. */
  container: Container;
};

export function emptyDraft(kind: GuestType = 'qemu'): Draft {
  const isContainer = kind === 'lxc';
  return {
    kind,
    vmid: 0,
    name: '',
    node: '',
    pool: '',
    tags: [],
    source: 'nothing',
    iso: '',
    image: '',
    ostype: 'l26',
    cores: isContainer ? 1 : 2,
    cpu: 'x86-64-v2-AES',
    memory: isContainer ? 512 : 2048,
    bios: 'seabios',
    machine: 'q35',
    tpm: false,
    kvm: true,
    disks: [newDisk([], '')],
    nets: [newNet([], '')],
    serial: true,
    ciuser: '',
    cipassword: '',
    sshkeys: '',
    address: 'dhcp',
    ip: '',
    gateway: '',
    onboot: false,
    agent: true,
    protection: false,
    start: true,
    container: emptyContainer(),
  };
}

export function nextSlot(name: string, taken: { slot: string }[]): string {
  let at = 0;
  while (taken.some((one) => one.slot === `${name}${at}`)) at += 1;
  return `${name}${at}`;
}

export const newDisk = (disks: Disk[], storage: string): Disk => ({
  slot: nextSlot('scsi', disks),
  storage,
  size: 32,
  format: '',
  discard: true,
  ssd: false,
});

export const newNet = (nets: Net[], bridge: string): Net => ({
  slot: nextSlot('net', nets),
  bridge,
  vlan: '',
  model: 'virtio',
  firewall: false,
});

function diskText(disk: Disk, image: string | undefined): string {
  const options = [
    disk.format && `format=${disk.format}`,
    disk.discard && 'discard=on',
    disk.ssd && 'ssd=1',
  ].filter(Boolean);
  const volume = image ? `${disk.storage}:0,import-from=${image}` : `${disk.storage}:${disk.size}`;
  return [volume, ...options].join(',');
}

function netText(net: Net): string {
  const parts = [net.model, `bridge=${net.bridge}`];
  if (net.vlan) parts.push(`tag=${net.vlan}`);
  if (net.firewall) parts.push('firewall=1');
  return parts.join(',');
}

function cloudParams(draft: Draft, storage: string): Params {
  const address = draft.ip + (draft.gateway ? `,gw=${draft.gateway}` : '');
  return {
    ide2: `${storage}:cloudinit`,
    ciuser: draft.ciuser || undefined,
    cipassword: draft.cipassword || undefined,
    sshkeys: draft.sshkeys ? encodeURIComponent(draft.sshkeys.trim()) : undefined,
    ipconfig0: draft.address === 'dhcp' ? 'ip=dhcp' : `ip=${address}`,
  };
}

/** The parameters of the request; what is the default anyway is left out. */
export const paramsOfDraft = (draft: Draft): Params =>
  draft.kind === 'lxc' ? containerParams(draft) : vmParams(draft);

function vmParams(draft: Draft): Params {
  const storage = draft.disks[0]?.storage ?? '';
  const params: Params = {
    vmid: draft.vmid,
    name: draft.name || undefined,
    pool: draft.pool || undefined,
    tags: draft.tags.join(';') || undefined,
    ostype: draft.ostype,
    cores: draft.cores,
    cpu: draft.cpu,
    memory: draft.memory,
    machine: draft.machine === 'q35' ? 'q35' : undefined,
    bios: draft.bios === 'ovmf' ? 'ovmf' : undefined,
    kvm: draft.kvm ? undefined : 0,
    scsihw: draft.disks.length > 0 ? 'virtio-scsi-single' : undefined,
    agent: draft.agent ? 1 : undefined,
    onboot: draft.onboot ? 1 : undefined,
    protection: draft.protection ? 1 : undefined,
    serial0: draft.serial ? 'socket' : undefined,
  };
  if (draft.bios === 'ovmf') params.efidisk0 = `${storage}:1,efitype=4m,pre-enrolled-keys=1`;
  if (draft.tpm) params.tpmstate0 = `${storage}:1,version=v2.0`;
  draft.disks.forEach((disk, at) => {
    const image = draft.source === 'image' && at === 0 ? draft.image : undefined;
    params[disk.slot] = diskText(disk, image);
  });
  for (const net of draft.nets) params[net.slot] = netText(net);
  if (draft.source === 'iso' && draft.iso) params.ide2 = `${draft.iso},media=cdrom`;
  if (draft.source === 'image') Object.assign(params, cloudParams(draft, storage));
  params.boot = bootOf(draft);
  if (draft.start) params.start = 1;
  return params;
}

/** The disk first, then the CD, then the network: an empty disk is passed over. */
function bootOf(draft: Draft): string | undefined {
  const devices = [
    draft.disks[0]?.slot,
    draft.source === 'iso' && draft.iso ? 'ide2' : undefined,
    draft.nets[0]?.slot,
  ].filter(Boolean);
  return devices.length > 0 ? `order=${devices.join(';')}` : undefined;
}

export type Problem =
  | 'vmid'
  | 'node'
  | 'image'
  | 'iso'
  | 'disks'
  | 'nets'
  | 'ip'
  | 'template'
  | 'password'
  | 'root'
  | 'mounts'
  | 'address';

/** Why the request cannot be sent yet. */
export function problemsOf(draft: Draft): Problem[] {
  const problems: Problem[] = [];
  if (draft.vmid < 100) problems.push('vmid');
  if (draft.node === '') problems.push('node');
  return [...problems, ...(draft.kind === 'lxc' ? containerProblems(draft) : vmProblems(draft))];
}

function vmProblems(draft: Draft): Problem[] {
  const problems: Problem[] = [];
  if (draft.source === 'image' && !draft.image) problems.push('image');
  if (draft.source === 'iso' && !draft.iso) problems.push('iso');
  if (draft.disks.some((disk) => !disk.storage || disk.size <= 0)) problems.push('disks');
  if (draft.nets.some((net) => !net.bridge)) problems.push('nets');
  if (draft.source === 'image' && draft.address === 'static' && !draft.ip) problems.push('ip');
  return problems;
}
