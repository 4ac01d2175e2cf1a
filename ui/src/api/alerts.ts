/** What is wrong now. */

import { useQuery } from '@tanstack/react-query';
import { api } from './client';

export type Alert = {
  id: string;
  node: string;
  severity: 'warning' | 'error';
  /** As lists name it: `node/n1`, `qemu/100`, `storage/n1/local`, `cluster`. */
  object: string;
  since: number;
  text: string;
  advice: string;
};

const PERIOD_MS = 10_000;

export function useAlerts() {
  return useQuery({
    queryKey: ['alerts'],
    queryFn: ({ signal }) => api.get<Alert[]>('/ostler/alerts', {}, signal),
    refetchInterval: PERIOD_MS,
  });
}

/** The worst of them; none without any. */
export function worst(alerts: Alert[]): Alert['severity'] | undefined {
  if (alerts.length === 0) return undefined;
  return alerts.some((alert) => alert.severity === 'error') ? 'error' : 'warning';
}

/** The page of what an alert is about. */
export function alertAddress({ object, id }: Pick<Alert, 'object' | 'id'>): string {
  const [kind, ...names] = object.split('/').map(encodeURIComponent);
  const tab = id.startsWith('task-failed/') ? '/tasks' : '';
  switch (kind) {
    case 'node':
      return `/node/${names[0]}${tab}`;
    case 'qemu':
      return `/guest/${names[0]}${tab}`;
    case 'storage':
      return `/storage/${names.join('/')}`;
    default:
      return '/datacenter/nodes';
  }
}
