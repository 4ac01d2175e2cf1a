/** What the wizard has so far, completed with what the node has. */

import { useQueries } from '@tanstack/react-query';
import { useState } from 'react';
import { type GuestType, KINDS } from '../../actions/kinds';
import { api, path } from '../../api/client';
import type { StorageRow } from '../../api/resources';
import { useInventory } from '../../api/stream';
import { useNextId } from '../../dialogs/Clone';
import { useBridges } from '../node/NodeNetwork';
import type { Volume } from '../node/StorageContent';
import { type Draft, emptyDraft } from './draft';

/** All volumes of one kind in a node's storages. */
export function useVolumesOf(node: string, content: string): Volume[] {
  const { storages } = useInventory();
  return useQueries({
    queries: storages
      .filter((one) => one.node === node && one.content.split(',').includes(content))
      .map(({ storage }) => ({
        queryKey: ['node', node, 'storage', storage, 'content', content],
        queryFn: () =>
          api.get<Volume[]>(`${path('nodes', node, 'storage', storage)}/content`, { content }),
      })),
    combine: (results) => results.flatMap((result) => result.data ?? []),
  });
}

/** Storages of files keep images that can have snapshots, if asked for it. */
const FILES = ['dir', 'nfs', 'cifs', 'cephfs'];
const formatOf = (row: StorageRow | undefined) =>
  row && FILES.includes(row.plugintype) ? 'qcow2' : '';

/** The draft with the first storage and bridge where none is chosen. */
function completed(base: Draft, rows: StorageRow[], bridges: string[]): Draft {
  const first = rows[0]?.storage ?? '';
  const bridge = bridges[0] ?? '';
  const { container } = base;
  return {
    ...base,
    disks: base.disks.map((disk) => {
      const storage = disk.storage || first;
      return { ...disk, storage, format: formatOf(rows.find((row) => row.storage === storage)) };
    }),
    nets: base.nets.map((net) => ({ ...net, bridge: net.bridge || bridge })),
    container: {
      ...container,
      root: { ...container.root, storage: container.root.storage || first },
      cards: container.cards.map((card) => ({ ...card, bridge: card.bridge || bridge })),
    },
  };
}

/** The draft, completed with what the node has, until something else is chosen. */
export function useDraft(kind: GuestType) {
  const { nodes, guests, storages } = useInventory();
  const next = useNextId();
  const [changes, setChanges] = useState<Partial<Draft>>({});
  const free = nodes
    .filter((node) => node.status === 'online')
    .sort((a, b) => (b.maxmem ?? 0) - (b.mem ?? 0) - ((a.maxmem ?? 0) - (a.mem ?? 0)));
  // The node that was free at first: figures change, and the choices below depend on it.
  const [first, setFirst] = useState<string>();
  if (!first && free[0]) setFirst(free[0].node);
  const node = changes.node ?? first ?? '';
  const bridges = useBridges(node);
  const rows = storages.filter(
    (one) => one.node === node && one.content.split(',').includes(KINDS[kind].content),
  );
  const base = { ...emptyDraft(kind), node, vmid: Number(next.data ?? 0), ...changes };
  const draft = completed(base, rows, bridges);
  return {
    draft,
    set: (change: Partial<Draft>) => setChanges({ ...changes, ...change }),
    bridges,
    storages: rows.map((one) => one.storage),
    isTaken: guests.some((guest) => guest.vmid === draft.vmid),
  };
}
