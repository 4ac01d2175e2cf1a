/** What the palette finds: actions first, then objects, then pages. */

import type { QueryClient } from '@tanstack/react-query';
import { GUEST_ACTIONS, isOffered } from '../actions/guest';
import type { Operation } from '../api/operations';
import type { Guest, Outline } from '../api/resources';
import { logout } from '../api/session';
import type { IconName } from '../parts/Icon';
import { wordOf } from '../parts/State';
import { t } from '../texts';
import { guestAddress, hasWords, nodeAddress, storageAddress } from './treeRows';
import { setView, switchScheme } from './view';

export type Entry = {
  key: string;
  group: string;
  label: string;
  aside?: string;
  icon?: IconName;
  guest?: Guest;
  /** Why it cannot be chosen now. */
  refused?: string;
  to?: string;
  run?: () => void;
};

const showKeys = () => setView({ isHelpOpen: true });

const ACTIONS_SHOWN = 8;
const GUESTS_SHOWN = 12;

const PAGES: [string, string, IconName][] = [
  [t.dc.tabs.overview, '/datacenter', 'dc'],
  [t.dc.tabs.guests, '/datacenter/guests', 'console'],
  [t.dc.tabs.nodes, '/datacenter/nodes', 'node'],
  [t.dc.tabs.storage, '/datacenter/storage', 'disk'],
  [t.dc.tabs.cluster, '/datacenter/cluster', 'branch'],
  [t.dc.tabs.permissions, '/datacenter/permissions', 'key'],
  [t.dc.tabs.pools, '/datacenter/pools', 'pool'],
  [t.dc.tabs.mappings, '/datacenter/mappings', 'link'],
  [t.dc.tabs.cpuModels, '/datacenter/cpu-models', 'cpu'],
  [t.dc.tabs.profiles, '/datacenter/profiles', 'copy'],
  [t.dc.tabs.tiers, '/datacenter/tiers', 'disk'],
  [t.dc.tabs.snapshots, '/datacenter/snapshots', 'camera'],
  [t.dc.tabs.snapshotJobs, '/datacenter/snapshot-jobs', 'camera'],
  [t.dc.tabs.options, '/datacenter/options', 'edit'],
  [t.dc.tabs.tasks, '/datacenter/tasks', 'list'],
  [t.guests.create, '/create', 'plus'],
  [t.guests.createContainer, '/create?kind=lxc', 'plus'],
  [t.user.api, '/api', 'list'],
];

function actionEntries(
  outline: Outline,
  words: string,
  client: QueryClient,
  table: Operation[] | undefined,
): Entry[] {
  const [verb, ...rest] = words.split(/\s+/);
  if (!verb) return [];
  const of = rest.join(' ');
  const entries: Entry[] = [];
  for (const action of GUEST_ACTIONS) {
    if (!hasWords(action.label, verb)) continue;
    for (const guest of outline.guests) {
      if (!hasWords(`${guest.vmid} ${guest.label}`, of)) continue;
      if (!isOffered(action, guest, table)) continue;
      const refused = action.refuses(guest);
      entries.push({
        key: `${action.id}/${guest.id}`,
        group: t.palette.actions,
        label: `${action.label} ${guest.vmid} ${guest.label}`,
        aside: refused ? t.palette.notNow(refused) : `${wordOf(guest)}, ${guest.node}`,
        icon: action.icon,
        refused,
        run: () => action.run(guest, client),
      });
      if (entries.length >= ACTIONS_SHOWN * 4) break;
    }
  }
  return entries.sort((a, b) => Number(!!a.refused) - Number(!!b.refused)).slice(0, ACTIONS_SHOWN);
}

function objectEntries(outline: Outline, words: string): Entry[] {
  const entries: Entry[] = [];
  for (const guest of outline.guests) {
    if (!hasWords(`${guest.vmid} ${guest.label} ${guest.tags ?? ''}`, words)) continue;
    entries.push({
      key: guest.id,
      group: t.palette.guests,
      label: `${guest.vmid} ${guest.label}`,
      aside: `${wordOf(guest)}, ${guest.node}`,
      guest,
      to: guestAddress(guest),
    });
    if (entries.length >= GUESTS_SHOWN) break;
  }
  for (const node of outline.nodes) {
    if (!hasWords(node.node, words)) continue;
    entries.push({
      key: node.id,
      group: t.palette.objects,
      label: node.node,
      icon: 'node',
      to: nodeAddress(node.node),
    });
  }
  for (const storage of outline.storages) {
    if (!hasWords(`${storage.storage} ${storage.node}`, words)) continue;
    entries.push({
      key: storage.id,
      group: t.palette.objects,
      label: storage.storage,
      aside: storage.node,
      icon: 'disk',
      to: storageAddress(storage),
    });
  }
  return entries;
}

/** What the header has as well, for narrow windows. */
function headerEntries(words: string): Entry[] {
  const entries: Entry[] = [
    { key: 'theme', group: t.palette.pages, label: t.theme.label, icon: 'moon', run: switchScheme },
    { key: 'keys', group: t.palette.pages, label: t.user.keys, icon: 'keyboard', run: showKeys },
    { key: 'logout', group: t.palette.pages, label: t.user.logout, icon: 'user', run: logout },
  ];
  return entries.filter((entry) => hasWords(entry.label, words));
}

export function paletteEntries(
  outline: Outline,
  words: string,
  client: QueryClient,
  /** What the node offers, if it is known. */
  table?: Operation[],
): Entry[] {
  const pages = PAGES.filter(([label]) => hasWords(label, words)).map(
    ([label, to, icon]): Entry => ({ key: to, group: t.palette.pages, label, to, icon }),
  );
  return [
    ...actionEntries(outline, words, client, table),
    ...objectEntries(outline, words),
    ...pages,
    ...headerEntries(words),
  ];
}
