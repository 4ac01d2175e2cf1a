/** What a node's running guests are promised, and what one more would need. */

import { useQuery } from '@tanstack/react-query';
import { api, path } from './client';
import { hasOperation, useOperations } from './operations';
import type { Guest } from './resources';

/** Bytes, or processors. */
export type Room = {
  total: number;
  reserve: number;
  'policy-ratio'?: number;
  limit?: number;
  committed: number;
  free: number;
  /** Promised part of what the reserve leaves. */
  ratio: number;
};

export type Admission = {
  mode: 'refuse' | 'warn';
  guests: number;
  memory: Room;
  cpus: Room;
};

export type NodeAdmission = Admission & { policy: Record<string, string | number> };

export type GuestAdmission = Admission & {
  fits: 0 | 1;
  overcommits: 0 | 1;
  needs: { memory: number; cpus: number };
  reason?: string;
};

const REFRESH_MS = 10_000;

const NODE = '/ostler/nodes/{node}/admission';
const GUEST = '/ostler/nodes/{node}/guests/{vmid}/admission';

export const nodeAdmissionPath = (node: string) => `${path('ostler', 'nodes', node)}/admission`;

export function useNodeAdmission(node: string) {
  const isThere = hasOperation(useOperations().data, 'GET', NODE);
  return useQuery({
    queryKey: ['node', node, 'admission'],
    queryFn: ({ signal }) => api.get<NodeAdmission>(nodeAdmissionPath(node), {}, signal),
    refetchInterval: REFRESH_MS,
    enabled: isThere,
  });
}

/** Of a guest that does not run. */
export function useGuestAdmission({ node, vmid, state }: Guest) {
  const isThere = hasOperation(useOperations().data, 'GET', GUEST);
  return useQuery({
    queryKey: ['guest', vmid, 'admission', node, state],
    queryFn: ({ signal }) =>
      api.get<GuestAdmission>(
        `${path('ostler', 'nodes', node, 'guests', String(vmid))}/admission`,
        {},
        signal,
      ),
    refetchInterval: REFRESH_MS,
    enabled: isThere && state === 'stopped',
  });
}
