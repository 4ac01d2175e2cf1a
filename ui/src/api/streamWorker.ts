/** Runs once for all tabs of a browser. */

import { Hub, type Request } from './streamHub';
import { StreamLink } from './streamLink';

const hub = new Hub<MessagePort>((tell) => new StreamLink(tell));

const scope = globalThis as unknown as { onconnect: (event: MessageEvent) => void };
scope.onconnect = ({ ports: [port] }) => {
  if (!port) return;
  port.onmessage = (event: MessageEvent<Request>) => hub.hear(port, event.data);
};
