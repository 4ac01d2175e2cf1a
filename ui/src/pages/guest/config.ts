/** A guest's configuration as the API has it: values now, and what waits for the next start. */

import { useQuery } from '@tanstack/react-query';
import { guestPath } from '../../actions/guest';
import { api } from '../../api/client';
import type { Guest } from '../../api/resources';

export type Pending = {
  key: string;
  value?: string | number;
  pending?: string | number;
  /** 1: it is removed at the next start; 2: by force. */
  delete?: number;
};

export const configKey = (guest: Pick<Guest, 'vmid'>) => ['guest', guest.vmid, 'pending'];

export function usePending(guest: Guest) {
  return useQuery({
    // Read anew when the guest has become another: created, started, rolled back.
    queryKey: [...configKey(guest), guest.status, guest.lock],
    queryFn: ({ signal }) => api.get<Pending[]>(`${guestPath(guest)}/pending`, {}, signal),
    placeholderData: (before, query) => (query?.queryKey[1] === guest.vmid ? before : undefined),
    refetchInterval: 10000,
  });
}

export const waits = (entry: Pending) => entry.pending !== undefined || entry.delete !== undefined;

/** Keys and their values after the next start. */
export function configOf(entries: Pending[], which: 'now' | 'next'): Map<string, string> {
  const config = new Map<string, string>();
  for (const entry of entries) {
    if (entry.key === 'digest') continue;
    const value = which === 'next' ? (entry.pending ?? entry.value) : entry.value;
    if (value === undefined || (which === 'next' && entry.delete)) continue;
    config.set(entry.key, String(value));
  }
  return config;
}

export const digestOf = (entries: Pending[]) =>
  entries.find((entry) => entry.key === 'digest')?.value as string | undefined;

/** A property string `default,key=value,…` as pairs; the first without a key has `defaultKey`. */
export function propertiesOf(text: string, defaultKey = ''): [string, string][] {
  if (!text) return [];
  return text.split(',').map((part) => {
    const at = part.indexOf('=');
    return at < 0 ? [defaultKey, part] : [part.slice(0, at), part.slice(at + 1)];
  });
}
