/** A guest's screen: noVNC. */

import RFB from '@novnc/novnc';
import type { Link, Watcher } from './link';
import { consoleUrl, screenTicket } from './ticket';

const CONTROL = 0xffe3;
const RETURN = 0xff0d;

function type(rfb: RFB, text: string) {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const keysym = character === '\n' ? RETURN : code < 0x100 ? code : 0x01000000 + code;
    rfb.sendKey(keysym, null);
  }
}

export async function openScreen(
  place: string,
  element: HTMLElement,
  watcher: Watcher,
): Promise<Link> {
  const ticket = await screenTicket(place);
  const rfb = new RFB(element, consoleUrl(place, ticket), {
    credentials: { username: '', target: '', password: ticket.password ?? ticket.ticket },
    wsProtocols: ['binary'],
  });
  rfb.scaleViewport = true;
  rfb.background = 'transparent';
  rfb.addEventListener('connect', () => {
    watcher.connected();
    rfb.focus();
  });
  let isClosing = false;
  rfb.addEventListener('disconnect', () => {
    if (!isClosing) watcher.closed();
  });
  rfb.addEventListener('securityfailure', (event) => watcher.closed(event.detail.reason));
  return {
    paste: (text) => type(rfb, text),
    key: ({ label, keysym }) => {
      if (keysym) {
        rfb.sendKey(keysym, null);
      } else {
        rfb.sendKey(CONTROL, 'ControlLeft', true);
        rfb.sendKey((label.at(-1) ?? 'c').toLowerCase().charCodeAt(0), null);
        rfb.sendKey(CONTROL, 'ControlLeft', false);
      }
      rfb.focus();
    },
    ctrlAltDel: () => rfb.sendCtrlAltDel(),
    focus: () => rfb.focus(),
    close: () => {
      isClosing = true;
      rfb.disconnect();
    },
  };
}
