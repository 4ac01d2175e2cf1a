/** The change stream: one websocket, one inventory, and when it was last current. */

import { useSyncExternalStore } from 'react';
import {
  EMPTY,
  type Guest,
  type GuestRow,
  guestOf,
  type Inventory,
  inventoryOf,
  type Row,
} from './resources';
import { end } from './session';

export type Message = { revision: string; reset: number; rows: Row[]; gone: string[] };

export type Live = {
  inventory: Inventory;
  /** False until the first message. */
  isLoaded: boolean;
  /** Set while the stream is interrupted: when the rows were current, and the next attempt. */
  lost?: { since: number; retryAt: number };
};

const PAUSES_MS = [1000, 2000, 4000, 8000, 15000];
/** The credential has ended, or we sent something. */
const POLICY = 1008;

/** Rows by id; messages change it. */
export class Rows {
  private rows = new Map<string, Row>();
  private guests = new Map<string, Guest>();

  apply(message: Message, now: number): Inventory {
    const before = this.guests;
    if (message.reset) {
      this.rows = new Map();
      this.guests = new Map();
    }
    for (const row of message.rows) {
      if (row.type === 'qemu' || row.type === 'lxc') {
        this.guests.set(row.id, guestOf(row as GuestRow, before.get(row.id), now));
      } else {
        this.rows.set(row.id, row);
      }
    }
    for (const id of message.gone) {
      this.rows.delete(id);
      this.guests.delete(id);
    }
    return inventoryOf(this.rows, this.guests);
  }
}

let live: Live = { inventory: EMPTY, isLoaded: false };
let rows = new Rows();
let socket: WebSocket | undefined;
let revision = '';
let attempt = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
const listeners = new Set<() => void>();

function set(next: Live) {
  live = next;
  for (const listener of listeners) listener();
}

export function openStream() {
  closeStream();
  const since = revision ? `?since=${encodeURIComponent(revision)}` : '';
  const url = `wss://${location.host}/api2/json/ostler/changes${since}`;
  const opened = new WebSocket(location.protocol === 'http:' ? url.replace('wss', 'ws') : url, [
    'ostler.changes',
  ]);
  socket = opened;
  opened.onmessage = (event) => {
    const message = JSON.parse(event.data as string) as Message;
    revision = message.revision;
    attempt = 0;
    set({ inventory: rows.apply(message, Date.now()), isLoaded: true });
  };
  opened.onclose = (event) => {
    if (socket !== opened) return;
    socket = undefined;
    if (event.code === POLICY) end();
    else retry();
  };
}

function retry() {
  const pause = PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)] ?? 15000;
  attempt += 1;
  const now = Date.now();
  set({ ...live, lost: { since: live.lost?.since ?? now, retryAt: now + pause } });
  timer = setTimeout(openStream, pause);
}

export function closeStream() {
  clearTimeout(timer);
  const open = socket;
  socket = undefined;
  open?.close();
}

/** Forgets everything, for another user. */
export function resetStream() {
  closeStream();
  rows = new Rows();
  revision = '';
  set({ inventory: EMPTY, isLoaded: false });
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function getLive(): Live {
  return live;
}

export function useLive(): Live {
  return useSyncExternalStore(subscribe, getLive);
}

export function useInventory(): Inventory {
  return useLive().inventory;
}

export function useGuest(vmid: number): Guest | undefined {
  return useSyncExternalStore(subscribe, () => live.inventory.byVmid.get(vmid));
}
