/** What the wizard asks for a container alone, and the request that it makes of it. */

import type { Params } from '../../api/client';
import { type Draft, nextSlot, type Problem } from './draft';

export type Mount = {
  slot: string;
  storage: string;
  /** GiB */
  size: number;
  path: string;
  backup: boolean;
};

/** How a card gets its addresses of one family. */
export type Family = { by: 'none' | 'dhcp' | 'auto' | 'static'; address: string; gateway: string };

export type Card = {
  slot: string;
  name: string;
  bridge: string;
  vlan: string;
  firewall: boolean;
  v4: Family;
  v6: Family;
};

export type Container = {
  /** The volume that it is unpacked from. */
  template: string;
  password: string;
  unprivileged: boolean;
  nesting: boolean;
  root: { storage: string; size: number };
  mounts: Mount[];
  /** MiB */
  swap: number;
  /** Cores that it may use up; 0: no limit. */
  cpulimit: number;
  cards: Card[];
  nameserver: string;
  searchdomain: string;
};

export const emptyContainer = (): Container => ({
  template: '',
  password: '',
  unprivileged: true,
  nesting: true,
  root: { storage: '', size: 8 },
  mounts: [],
  swap: 512,
  cpulimit: 0,
  cards: [newCard([], '')],
  nameserver: '',
  searchdomain: '',
});

export function newMount(mounts: Mount[], storage: string): Mount {
  const slot = nextSlot('mp', mounts);
  return { slot, storage, size: 8, path: '', backup: false };
}

export function newCard(cards: Card[], bridge: string): Card {
  const slot = nextSlot('net', cards);
  return {
    slot,
    name: slot.replace('net', 'eth'),
    bridge,
    vlan: '',
    firewall: false,
    v4: { by: 'dhcp', address: '', gateway: '' },
    v6: { by: 'none', address: '', gateway: '' },
  };
}

function addressParts({ by, address, gateway }: Family, family: '' | '6'): string[] {
  if (by === 'none') return [];
  if (by !== 'static') return [`ip${family}=${by}`];
  const parts = [`ip${family}=${address}`];
  return gateway ? [...parts, `gw${family}=${gateway}`] : parts;
}

function cardText(card: Card): string {
  const parts = [`name=${card.name}`, `bridge=${card.bridge}`];
  if (card.vlan) parts.push(`tag=${card.vlan}`);
  if (card.firewall) parts.push('firewall=1');
  return [...parts, ...addressParts(card.v4, ''), ...addressParts(card.v6, '6')].join(',');
}

const mountText = ({ storage, size, path, backup }: Mount) =>
  `${storage}:${size},mp=${path}${backup ? ',backup=1' : ''}`;

/** The parameters of the request; what is the default anyway is left out. */
export function containerParams(draft: Draft): Params {
  const { container } = draft;
  const params: Params = {
    vmid: draft.vmid,
    ostemplate: container.template || undefined,
    hostname: draft.name || undefined,
    pool: draft.pool || undefined,
    tags: draft.tags.join(';') || undefined,
    unprivileged: container.unprivileged ? 1 : 0,
    features: container.nesting ? 'nesting=1' : undefined,
    password: container.password || undefined,
    'ssh-public-keys': draft.sshkeys.trim() || undefined,
    rootfs: `${container.root.storage}:${container.root.size}`,
    cores: draft.cores,
    cpulimit: container.cpulimit || undefined,
    memory: draft.memory,
    swap: container.swap,
    nameserver: container.nameserver || undefined,
    searchdomain: container.searchdomain || undefined,
    onboot: draft.onboot ? 1 : undefined,
    protection: draft.protection ? 1 : undefined,
  };
  for (const mount of container.mounts) params[mount.slot] = mountText(mount);
  for (const card of container.cards) params[card.slot] = cardText(card);
  if (draft.start) params.start = 1;
  return params;
}

const isOpen = ({ by, address }: Family) => by === 'static' && !address;

/** Why the request cannot be sent yet, besides what holds for all guests. */
export function containerProblems({ container }: Draft): Problem[] {
  const { template, password, root, mounts, cards } = container;
  const problems: Problem[] = [];
  if (!template) problems.push('template');
  if (password && password.length < 5) problems.push('password');
  if (!root.storage || root.size <= 0) problems.push('root');
  if (mounts.some((mount) => !mount.storage || mount.size <= 0 || !mount.path.startsWith('/'))) {
    problems.push('mounts');
  }
  if (cards.some((card) => !card.bridge || !card.name)) problems.push('nets');
  if (cards.some((card) => isOpen(card.v4) || isOpen(card.v6))) problems.push('address');
  return problems;
}
