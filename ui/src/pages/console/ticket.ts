/** The ticket of a console: valid for 40 seconds, for one port, for this session. */

import { api } from '../../api/client';

export type ConsoleTicket = { user: string; ticket: string; port: string; password?: string };

/** `place` is the path of the guest or node at the API. */
export const screenTicket = (place: string) =>
  api.post<ConsoleTicket>(`${place}/vncproxy`, { websocket: 1, 'generate-password': 1 });

/** Without a port: the shell of a node, the terminal of a container. */
export const terminalTicket = (place: string, serial?: string) =>
  api.post<ConsoleTicket>(`${place}/termproxy`, { serial });

export function consoleUrl(place: string, { port, ticket }: ConsoleTicket): string {
  const query = new URLSearchParams({ port: String(port), vncticket: ticket });
  const scheme = location.protocol === 'http:' ? 'ws' : 'wss';
  return `${scheme}://${location.host}/api2/json${place}/vncwebsocket?${query}`;
}
