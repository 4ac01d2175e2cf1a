/** Which keys are on which page, and what can be added. */

import type { GuestType } from '../../actions/kinds';
import type { IconName } from '../../parts/Icon';
import { t } from '../../texts';

const words = t.hw.additions;

export type PageName = 'hardware' | 'network' | 'dns' | 'cloudinit' | 'options';

type Page = {
  /** Keys that are shown even if they are not set, in this order. */
  always: string[];
  /** Keys that are shown where they are set; `rest` are all that are on no other page. */
  more?: RegExp | 'rest';
};

const VM_PAGES: Partial<Record<PageName, Page>> = {
  hardware: {
    always: ['memory', 'balloon', 'cores', 'sockets', 'cpu', 'bios', 'machine', 'vga', 'scsihw'],
    more: /^((scsi|virtio|sata|ide|efidisk|tpmstate|net|serial|parallel|rng|usb|hostpci|virtiofs|audio|unused)\d+|numa\d*|(keep)?hugepages|vcpus|cpulimit|cpuunits|shares|affinity)$/,
  },
  options: {
    always: [
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
    more: 'rest',
  },
  cloudinit: {
    always: [
      'ciuser',
      'cipassword',
      'sshkeys',
      'ipconfig0',
      'nameserver',
      'searchdomain',
      'ciupgrade',
    ],
    more: /^(ipconfig\d+|cicustom)$/,
  },
};

const CONTAINER_PAGES: Partial<Record<PageName, Page>> = {
  hardware: {
    always: ['memory', 'swap', 'cores', 'cpulimit', 'cpuunits', 'rootfs'],
    more: /^(mp|dev|unused)\d+$/,
  },
  network: { always: [], more: /^net\d+$/ },
  dns: { always: ['nameserver', 'searchdomain'] },
  options: {
    always: [
      'hostname',
      'tags',
      'onboot',
      'startup',
      'ostype',
      'unprivileged',
      'features',
      'protection',
      'console',
      'tty',
      'cmode',
      'timezone',
      'hookscript',
    ],
    more: 'rest',
  },
};

const PAGES: Record<GuestType, Partial<Record<PageName, Page>>> = {
  qemu: VM_PAGES,
  lxc: CONTAINER_PAGES,
};

/** The pages of keys that a kind of guest has. */
export const pagesOf = (type: GuestType) => Object.keys(PAGES[type]) as PageName[];

/** Keys that other pages change, or none. */
const ELSEWHERE =
  /^(description|template|lock|meta|vmgenid|digest|snaptime|parent|vmstate|lxc\..*)$/;

/** Keys that are said once, when the guest is created. */
export const isFixed = (type: GuestType, key: string) => type === 'lxc' && key === 'unprivileged';

export function keysOf(type: GuestType, page: PageName, config: Map<string, string>): string[] {
  const { always = [], more } = PAGES[type][page] ?? {};
  const has = (page: Page, key: string) =>
    page.always.includes(key) || (page.more instanceof RegExp && page.more.test(key));
  const isOthers = (key: string) => Object.values(PAGES[type]).some((other) => has(other, key));
  const isShown = (key: string) => (more === 'rest' ? !isOthers(key) : more?.test(key) === true);
  const rest = [...config.keys()]
    .filter((key) => !always.includes(key) && !ELSEWHERE.test(key) && isShown(key))
    .sort(byDevice);
  return [...always, ...rest];
}

const ORDER = [
  'scsi',
  'virtio',
  'sata',
  'ide',
  'efidisk',
  'tpmstate',
  'mp',
  'unused',
  'net',
  'serial',
  'parallel',
  'usb',
  'hostpci',
  'virtiofs',
  'audio',
];

function byDevice(a: string, b: string): number {
  const rank = (key: string) => {
    const at = ORDER.indexOf(key.replace(/\d+$/, ''));
    return at < 0 ? ORDER.length : at;
  };
  return rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true });
}

export const ICONS: [RegExp, IconName][] = [
  [/^(memory|balloon|shares|swap|(keep)?hugepages)$/, 'mem'],
  [/^(cores|sockets|cpu.*|vcpus|numa.*|affinity|kvm)$/, 'cpu'],
  [/^(scsi|virtio|sata|ide|efidisk|unused|mp)\d+$|^rootfs$/, 'disk'],
  [/^(net|ipconfig)\d+$|^(nameserver|searchdomain)$/, 'net'],
  [/^((serial|parallel)\d+|vga|bios|console|tty|cmode)$/, 'console'],
  [/^(tpmstate0|protection|cipassword|unprivileged|features)$/, 'shield'],
  [/^sshkeys$/, 'key'],
  [/^(tags|name|hostname)$/, 'tag'],
  [/^(machine|scsihw)$/, 'node'],
  [/^(usb|hostpci)\d+$/, 'link'],
  [/^virtiofs\d+$/, 'disk'],
];

export const iconOf = (key: string): IconName =>
  ICONS.find(([pattern]) => pattern.test(key))?.[1] ?? 'list';

export type Addition = {
  label: string;
  icon: IconName;
  /** Slots in the order in which they are taken. */
  slots: string[];
  /** Empty where there is nothing to begin with. */
  value: (storage: string, bridge: string, slot: string) => string;
};

const slots = (name: string, count: number, first = 0) =>
  Array.from({ length: count }, (_, at) => `${name}${first + at}`);

const VM_ADDITIONS: Addition[] = [
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
  { label: words.usb, icon: 'link', slots: slots('usb', 14), value: () => '' },
  { label: words.pci, icon: 'link', slots: slots('hostpci', 16), value: () => '' },
  { label: words.virtiofs, icon: 'disk', slots: slots('virtiofs', 10), value: () => '' },
  {
    label: words.parallel,
    icon: 'console',
    slots: slots('parallel', 3),
    value: () => '/dev/parport0',
  },
  {
    label: words.audio,
    icon: 'list',
    slots: ['audio0'],
    value: () => 'device=ich9-intel-hda,driver=none',
  },
  { label: words.rng, icon: 'list', slots: ['rng0'], value: () => 'source=/dev/urandom' },
  { label: words.hugepages, icon: 'mem', slots: ['hugepages'], value: () => 'any' },
  { label: words.keepHugepages, icon: 'mem', slots: ['keephugepages'], value: () => '1' },
];

/** A mount point is at a path of its own, a card has a name of its own: both by their number. */
const numberOf = (slot: string) => slot.replace(/\D/g, '');

const ADDITIONS: Record<GuestType, Partial<Record<PageName, Addition[]>>> = {
  qemu: { hardware: VM_ADDITIONS },
  lxc: {
    hardware: [
      {
        label: words.mount,
        icon: 'disk',
        slots: slots('mp', 256),
        value: (storage, _, slot) => `${storage}:8,mp=/mnt/data${numberOf(slot)}`,
      },
    ],
    network: [
      {
        label: words.net,
        icon: 'net',
        slots: slots('net', 32),
        value: (_, bridge, slot) => `name=eth${numberOf(slot)},bridge=${bridge},ip=dhcp`,
      },
    ],
  },
};

/** What can be added on a page. */
export const additionsOf = (type: GuestType, page: PageName) => ADDITIONS[type][page] ?? [];

/** The first slot that neither the configuration nor the draft has. */
export const freeSlot = (addition: Addition, taken: (key: string) => boolean) =>
  addition.slots.find((key) => !taken(key));
