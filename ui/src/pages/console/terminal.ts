/** A serial port or a shell in a terminal: xterm.js over the protocol of termproxy. */

import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import type { Link, Watcher } from './link';
import { consoleUrl, terminalTicket } from './ticket';

const KEEP_ALIVE_MS = 30_000;
const encoder = new TextEncoder();

/** `0:LENGTH:TEXT`, the length in bytes. */
export const inputFrame = (text: string) => `0:${encoder.encode(text).length}:${text}`;
export const sizeFrame = (cols: number, rows: number) => `1:${cols}:${rows}:`;

function look(): Terminal['options'] {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => style.getPropertyValue(name).trim();
  return {
    fontFamily: token('--font-mono'),
    fontSize: 14,
    scrollback: 5000,
    cursorBlink: false,
    theme: {
      background: token('--term-bg'),
      foreground: token('--term-fg'),
      cursor: token('--term-fg'),
      green: token('--term-green'),
      yellow: token('--term-yellow'),
      red: token('--term-red'),
      blue: token('--term-blue'),
      cyan: token('--term-cyan'),
    },
  };
}

export async function openTerminal(
  place: string,
  serial: string | undefined,
  element: HTMLElement,
  watcher: Watcher,
): Promise<Link> {
  const ticket = await terminalTicket(place, serial);
  const terminal = new Terminal(look());
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(element);
  fit.fit();
  const socket = new WebSocket(consoleUrl(place, ticket), ['binary']);
  socket.binaryType = 'arraybuffer';
  const send = (frame: string) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(encoder.encode(frame));
  };
  let isAccepted = false;
  socket.onopen = () => socket.send(encoder.encode(`${ticket.user}:${ticket.ticket}\n`));
  socket.onmessage = (event) => {
    let bytes = new Uint8Array(event.data as ArrayBuffer);
    if (!isAccepted) {
      // The first answer begins with `OK`.
      isAccepted = true;
      bytes = bytes.subarray(2);
      watcher.connected();
      send(sizeFrame(terminal.cols, terminal.rows));
    }
    terminal.write(bytes);
  };
  socket.onclose = () => watcher.closed();
  terminal.onData((text) => send(inputFrame(text)));
  terminal.onResize(({ cols, rows }) => send(sizeFrame(cols, rows)));
  const watchSize = new ResizeObserver(() => fit.fit());
  watchSize.observe(element);
  const keepAlive = setInterval(() => send('2'), KEEP_ALIVE_MS);
  terminal.focus();
  return {
    paste: (text) => terminal.paste(text),
    key: (sequence) => {
      send(inputFrame(sequence.text));
      terminal.focus();
    },
    focus: () => terminal.focus(),
    close: () => {
      clearInterval(keepAlive);
      watchSize.disconnect();
      socket.onclose = null;
      socket.close();
      terminal.dispose();
    },
  };
}
