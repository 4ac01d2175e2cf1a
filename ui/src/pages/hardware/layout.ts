/** Which keys are on which page, and what can be added. */

import type { IconName } from '../../parts/Icon';
import { t } from '../../texts';

const words = t.hw.additions;

export type PageName = 'hardware' | 'options' | 'cloudinit';

/** Keys that are shown even if they are not set, in this order. */
const ALWAYS: Record<PageName, string[]> = {
  hardware: ['memory', 'balloon', 'cores', 'sockets', 'cpu', 'bios', 'machine', 'vga', 'scsihw'],
  options: [
    'name',
    'tags',
    'onboot',
    'startup',
    'ostype',
    'boot',
    'agent',
    'protection',
    'hotplug',
    'tablet',
    'acpi',
    'kvm',
    'freeze',
    'localtime',
    'watchdog',
  ],
  cloudinit: [
    'ciuser',
    'cipassword',
    'sshkeys',
    'ipconfig0',
    'nameserver',
    'searchdomain',
    'ciupgrade',
  ],
};

/** Keys that are shown where they are set. */
const DEVICES =
  /^((scsi|virtio|sata|ide|efidisk|tpmstate|net|serial|rng|unused)\d+|numa\d*|vcpus|cpulimit|cpuunits|shares|affinity)$/;
const CLOUD = /^(ipconfig\d+|cicustom)$/;
/** Keys that other pages change, or none. */
const ELSEWHERE = /^(description|template|lock|meta|vmgenid|digest|snaptime|parent|vmstate)$/;

export const isDisk = (key: string) => /^(scsi|virtio|sata|ide)\d+$/.test(key);

export function keysOf(page: PageName, config: Map<string, string>): string[] {
  const always = ALWAYS[page];
  const rest = [...config.keys()].filter((key) => !always.includes(key)).sort(byDevice);
  const isRest = (key: string) => {
    if (ELSEWHERE.test(key)) return false;
    if (page === 'hardware') return DEVICES.test(key);
    if (page === 'cloudinit') return CLOUD.test(key);
    return (
      !DEVICES.test(key) &&
      !CLOUD.test(key) &&
      !ALWAYS.hardware.includes(key) &&
      !ALWAYS.cloudinit.includes(key)
    );
  };
  return [...always, ...rest.filter(isRest)];
}

const ORDER = ['scsi', 'virtio', 'sata', 'ide', 'efidisk', 'tpmstate', 'unused', 'net', 'serial'];

function byDevice(a: string, b: string): number {
  const rank = (key: string) => {
    const at = ORDER.indexOf(key.replace(/\d+$/, ''));
    return at < 0 ? ORDER.length : at;
  };
  return rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true });
}

export const ICONS: [RegExp, IconName][] = [
  [/^(memory|balloon|shares)$/, 'mem'],
  [/^(cores|sockets|cpu.*|vcpus|numa.*|affinity|kvm)$/, 'cpu'],
  [/^(scsi|virtio|sata|ide|efidisk|unused)\d+$/, 'disk'],
  [/^(net|ipconfig)\d+$|^(nameserver|searchdomain)$/, 'net'],
  [/^(serial\d+|vga|bios)$/, 'console'],
  [/^(tpmstate0|protection|cipassword)$/, 'shield'],
  [/^sshkeys$/, 'key'],
  [/^(tags|name)$/, 'tag'],
  [/^(machine|scsihw)$/, 'node'],
];

export const iconOf = (key: string): IconName =>
  ICONS.find(([pattern]) => pattern.test(key))?.[1] ?? 'list';

export type Addition = {
  label: string;
  icon: IconName;
  /** Slots in the order in which they are taken. */
  slots: string[];
  value: (storage: string, bridge: string) => string;
};

const slots = (name: string, count: number, first = 0) =>
  Array.from({ length: count }, (_, at) => `${name}${first + at}`);

export const ADDITIONS: Addition[] = [
  {
    label: words.scsi,
    icon: 'disk',
    slots: slots('scsi', 31),
    value: (storage) => `${storage}:32,discard=on`,
  },
  {
    label: words.virtio,
    icon: 'disk',
    slots: slots('virtio', 16),
    value: (storage) => `${storage}:32,discard=on`,
  },
  {
    label: words.sata,
    icon: 'disk',
    slots: slots('sata', 6),
    value: (storage) => `${storage}:32`,
  },
  {
    label: t.hw.cd,
    icon: 'cd',
    slots: ['ide2', 'ide3', 'ide0', 'ide1', ...slots('sata', 6)],
    value: () => 'none,media=cdrom',
  },
  {
    label: words.cloud,
    icon: 'cd',
    slots: ['ide2', 'ide3', 'ide0', 'ide1', ...slots('sata', 6)],
    value: (storage) => `${storage}:cloudinit`,
  },
  {
    label: words.net,
    icon: 'net',
    slots: slots('net', 32),
    value: (_, bridge) => `virtio,bridge=${bridge}`,
  },
  { label: words.serial, icon: 'console', slots: slots('serial', 4), value: () => 'socket' },
  {
    label: words.efi,
    icon: 'disk',
    slots: ['efidisk0'],
    value: (storage) => `${storage}:1,efitype=4m,pre-enrolled-keys=1`,
  },
  {
    label: words.tpm,
    icon: 'shield',
    slots: ['tpmstate0'],
    value: (storage) => `${storage}:1,version=v2.0`,
  },
  { label: words.rng, icon: 'list', slots: ['rng0'], value: () => 'source=/dev/urandom' },
];

/** The first slot that neither the configuration nor the draft has. */
export const freeSlot = (addition: Addition, taken: (key: string) => boolean) =>
  addition.slots.find((key) => !taken(key));
