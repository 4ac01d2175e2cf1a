/** One action on several guests. */

import type { QueryClient } from '@tanstack/react-query';
import { api, type Params, path } from '../api/client';
import { hasOperation, knownOperations } from '../api/operations';
import type { Guest } from '../api/resources';
import { expectState } from '../api/stream';
import { startTask } from '../api/tasks';
import { t } from '../texts';
import { openDialog } from './dialogs';
import type { GuestAction } from './guest';

/** What a node does to several of its guests in one task: in their order, some at a time. */
const OF_NODE: Record<string, { operation: string; doing: keyof typeof t.doing; params: Params }> =
  {
    // Also those that do not start with the node.
    start: { operation: 'startall', doing: 'start', params: { force: true } },
    // As for one guest: what does not shut down in time runs on.
    shutdown: { operation: 'stopall', doing: 'shutdown', params: { 'force-stop': false } },
  };

/** Asks once for several guests. */
const WITH_DIALOG = ['stop', 'migrate'] as const;

export function byNode<T extends { node: string }>(all: T[]): Map<string, T[]> {
  const nodes = new Map<string, T[]>();
  for (const one of all) {
    const own = nodes.get(one.node);
    if (own) own.push(one);
    else nodes.set(one.node, [one]);
  }
  return nodes;
}

/** Numbers as the operations of nodes take them. */
export const listOf = (guests: Guest[]) => guests.map(({ vmid }) => vmid).join(',');

/** Runs an action for guests that can: one task a node where nodes have one for it. */
export function runForAll(action: GuestAction, guests: Guest[], client: QueryClient) {
  const dialog = WITH_DIALOG.find((id) => id === action.id);
  if (dialog) return openDialog(dialog, ...guests);
  const bulk = OF_NODE[action.id];
  const table = knownOperations(client);
  const isThere = bulk && hasOperation(table, 'POST', `/nodes/{node}/${bulk.operation}`);
  for (const [node, own] of byNode(guests)) {
    if (!isThere || own.length === 1) {
      for (const guest of own) action.run(guest, client);
      continue;
    }
    const vmids = own.map(({ vmid }) => vmid);
    for (const vmid of vmids) expectState(vmid, t.doing[bulk.doing]);
    const asked = startTask(
      client,
      t.guests.onNode(action.label, own.length, node),
      () =>
        api.post<string>(path('nodes', node, bulk.operation), { vms: listOf(own), ...bulk.params }),
      { vmids },
    );
    void asked.then((isStarted) => {
      if (!isStarted) for (const vmid of vmids) expectState(vmid);
    });
  }
}
