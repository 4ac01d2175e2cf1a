/** What is wrong now, as the change stream has it. */

import { api } from './client';
import { type Alert, SEVERITIES } from './resources';

/** Those that are not acknowledged. */
export function unknownAlerts(alerts: Alert[]): Alert[] {
  return alerts.filter((alert) => !alert.acknowledged);
}

/** The worst of them; none without any. */
export function worst(alerts: Alert[]): Alert['severity'] | undefined {
  return SEVERITIES.find((severity) => alerts.some((alert) => alert.severity === severity));
}

const ACKNOWLEDGE = '/ostler/alerts/acknowledge';

export const acknowledge = (id: string, comment: string) =>
  api.post<null>(ACKNOWLEDGE, { id, comment: comment || undefined });

export const unacknowledge = (id: string) => api.delete<null>(ACKNOWLEDGE, { id });

/** The page of what an alert is about. */
export function alertAddress({ object, id }: Pick<Alert, 'object' | 'id'>): string {
  const [kind, ...names] = object.split('/').map(encodeURIComponent);
  const tab = id.startsWith('task-failed/') ? '/tasks' : '';
  switch (kind) {
    case 'node':
      return `/node/${names[0]}${tab}`;
    case 'qemu':
    case 'lxc':
      return `/guest/${names[0]}${tab}`;
    case 'storage':
      return `/storage/${names.join('/')}`;
    default:
      return '/datacenter/nodes';
  }
}
