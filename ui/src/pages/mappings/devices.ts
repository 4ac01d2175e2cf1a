/** What nodes have, and what they say of mappings. */

import { useQueries, useQuery } from '@tanstack/react-query';
import { api, path } from '../../api/client';
import { useInventory } from '../../api/stream';
import {
  type Choice,
  type Kind,
  type Mapping,
  mappingsOn,
  pciChoice,
  type UsbDevice,
  usbChoices,
} from './mapping';

export const listOf = (kind: Kind) => `/cluster/mapping/${kind}`;

async function readChoices(node: string, kind: Kind, signal: AbortSignal): Promise<Choice[]> {
  const address = `${path('nodes', node)}/hardware/${kind}`;
  if (kind === 'usb') return usbChoices(await api.get<UsbDevice[]>(address, {}, signal));
  return (await api.get<Parameters<typeof pciChoice>[0][]>(address, {}, signal)).map(pciChoice);
}

/** The devices of a node that can be mapped; folders are not listed. */
export function useChoices(node: string, kind: Kind, isWanted = true) {
  return useQuery({
    queryKey: ['node', node, 'hardware', kind],
    queryFn: ({ signal }) => readChoices(node, kind, signal),
    enabled: isWanted && node !== '' && kind !== 'dir',
    retry: false,
  });
}

const NONE: Mapping[] = [];

/** The mappings of a kind that are something on a node. */
export function useMappings(kind: Kind, node: string, isWanted = true) {
  const list = listOf(kind);
  const { data, error } = useQuery({
    queryKey: ['records', list],
    queryFn: ({ signal }) => api.get<Mapping[]>(list, {}, signal),
    enabled: isWanted,
  });
  return { data: mappingsOn(data ?? NONE, node), error };
}

/** What each node that reports says of the mappings of a kind. */
export function useChecks(kind: Kind): Map<string, Mapping[]> {
  const { nodes } = useInventory();
  const online = nodes.filter((node) => node.status === 'online').map((node) => node.node);
  const answers = useQueries({
    queries: online.map((node) => ({
      queryKey: ['records', listOf(kind), 'check', node],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        api.get<Mapping[]>(listOf(kind), { 'check-node': node }, signal),
      retry: false,
      refetchInterval: 10000,
    })),
  });
  const checked = new Map<string, Mapping[]>();
  answers.forEach(({ data }, at) => {
    if (data) checked.set(online[at] ?? '', data);
  });
  return checked;
}
