/** The ticket of a console: valid for 40 seconds, for one port, for this session. */

import { guestPath } from '../../actions/guest';
import { api } from '../../api/client';
import type { Guest } from '../../api/resources';

export type ConsoleTicket = { user: string; ticket: string; port: string; password?: string };

export const screenTicket = (guest: Guest) =>
  api.post<ConsoleTicket>(`${guestPath(guest)}/vncproxy`, {
    websocket: 1,
    'generate-password': 1,
  });

export const serialTicket = (guest: Guest, serial: string) =>
  api.post<ConsoleTicket>(`${guestPath(guest)}/termproxy`, { serial });

export function consoleUrl(guest: Guest, { port, ticket }: ConsoleTicket): string {
  const query = new URLSearchParams({ port: String(port), vncticket: ticket });
  const scheme = location.protocol === 'http:' ? 'ws' : 'wss';
  return `${scheme}://${location.host}/api2/json${guestPath(guest)}/vncwebsocket?${query}`;
}
