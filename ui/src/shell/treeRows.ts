/** The inventory as lines of a tree. */

import type { Guest, NodeRow, Outline, StorageRow } from '../api/resources';
import { t } from '../texts';
import type { Arrange } from './view';

export type TreeRow = {
  key: string;
  depth: number;
  label: string;
  /** Where it leads. */
  to?: string;
  /** Undefined: nothing below it. */
  isOpen?: boolean;
} & (
  | { kind: 'datacenter' | 'pool' | 'tag' | 'stores' }
  | { kind: 'node'; node: NodeRow; running: number; guests: number }
  | { kind: 'guest'; guest: Guest }
  | { kind: 'storage'; storage: StorageRow }
);

type Options = { arrange: Arrange; closed: string[]; find: string; cluster?: string };

export const guestAddress = (guest: Pick<Guest, 'vmid'>) => `/guest/${guest.vmid}`;
export const nodeAddress = (node: string) => `/node/${encodeURIComponent(node)}`;
export const storageAddress = (storage: Pick<StorageRow, 'node' | 'storage'>) =>
  `/storage/${encodeURIComponent(storage.node)}/${encodeURIComponent(storage.storage)}`;

/** Whether all words are in the text. */
export function hasWords(text: string, words: string): boolean {
  const lower = text.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => lower.includes(word));
}

const isFound = (guest: Guest, find: string) =>
  hasWords(`${guest.vmid} ${guest.label} ${guest.tags ?? ''}`, find);

export function treeRows(outline: Outline, options: Options): TreeRow[] {
  const root: TreeRow = {
    kind: 'datacenter',
    key: 'dc',
    depth: 0,
    label: options.cluster ?? t.tree.datacenter,
    to: '/datacenter',
    isOpen: true,
  };
  const guests = options.find
    ? outline.guests.filter((guest) => isFound(guest, options.find))
    : outline.guests;
  const below =
    options.arrange === 'node'
      ? byNode(outline, guests, options)
      : byGroup(guests, options.arrange, options);
  return [root, ...below];
}

const isOpen = (key: string, options: Options) =>
  options.find !== '' || !options.closed.includes(key);

/** The last row of each guest: few of thousands change at a time. */
const guestRows = new WeakMap<Guest, { group: string; row: TreeRow }>();

function guestRow(guest: Guest, group: string): TreeRow {
  const known = guestRows.get(guest);
  if (known?.group === group) return known.row;
  const row: TreeRow = {
    kind: 'guest',
    key: `${group}/${guest.id}`,
    depth: 2,
    label: guest.label,
    to: guestAddress(guest),
    guest,
  };
  guestRows.set(guest, { group, row });
  return row;
}

function byNode(outline: Outline, guests: Guest[], options: Options): TreeRow[] {
  const groups = new Map<string, Guest[]>(outline.nodes.map((node) => [node.node, []]));
  for (const guest of guests) groups.get(guest.node)?.push(guest);
  const rows: TreeRow[] = [];
  for (const node of outline.nodes) {
    const own = groups.get(node.node) ?? [];
    const key = node.id;
    const isFoundItself = hasWords(node.node, options.find);
    if (options.find && own.length === 0 && !isFoundItself) continue;
    let [real, running] = [0, 0];
    for (const guest of own) {
      if (guest.template) continue;
      real += 1;
      if (guest.status === 'running') running += 1;
    }
    rows.push({
      kind: 'node',
      key,
      depth: 1,
      label: node.node,
      to: nodeAddress(node.node),
      isOpen: isOpen(key, options),
      node,
      running,
      guests: real,
    });
    if (!isOpen(key, options)) continue;
    for (const guest of own) rows.push(guestRow(guest, key));
    if (!options.find) rows.push(...storesOf(outline, node.node, options));
  }
  return rows;
}

function storesOf(outline: Outline, node: string, options: Options): TreeRow[] {
  const stores = outline.storages.filter((storage) => storage.node === node);
  if (stores.length === 0) return [];
  const key = `stores/${node}`;
  // Closed unless it was opened: the list of closed rows has the open ones of this kind.
  const isShown = options.closed.includes(key);
  const head: TreeRow = {
    kind: 'stores',
    key,
    depth: 2,
    label: t.tree.storage,
    isOpen: isShown,
  };
  const rows = stores.map(
    (storage): TreeRow => ({
      kind: 'storage',
      key: storage.id,
      depth: 3,
      label: storage.storage,
      to: storageAddress(storage),
      storage,
    }),
  );
  return isShown ? [head, ...rows] : [head];
}

function byGroup(guests: Guest[], by: 'pool' | 'tag', options: Options): TreeRow[] {
  const groups = new Map<string, Guest[]>();
  for (const guest of guests) {
    const names = by === 'pool' ? [guest.pool ?? ''] : guest.tagList;
    for (const name of names.length > 0 ? names : ['']) {
      const group = groups.get(name);
      if (group) group.push(guest);
      else groups.set(name, [guest]);
    }
  }
  const rows: TreeRow[] = [];
  const names = [...groups.keys()].sort((a, b) => Number(!a) - Number(!b) || a.localeCompare(b));
  for (const name of names) {
    const key = `${by}/${name}`;
    const query = name ? `?${by}=${encodeURIComponent(name)}` : '';
    rows.push({
      kind: by,
      key,
      depth: 1,
      label: name || (by === 'pool' ? t.tree.noPool : t.tree.noTag),
      to: name ? `/datacenter/guests${query}` : undefined,
      isOpen: isOpen(key, options),
    });
    if (isOpen(key, options)) {
      for (const guest of groups.get(name) ?? []) rows.push(guestRow(guest, key));
    }
  }
  return rows;
}
