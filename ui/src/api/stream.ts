/** The change stream as the page has it: one inventory, and since when it is not current. */

import { Store, usePartOf, useStore } from '../store';
import {
  type Alert,
  alertsOf,
  EMPTY,
  type Guest,
  type GuestRow,
  guestOf,
  type Inventory,
  inventoryOf,
  isSameButFigures,
  type Outline,
  othersOf,
  type Row,
  stateOf,
  updated,
} from './resources';
import { end, getSession } from './session';
import type { Heard, Request } from './streamHub';
import { type Lost, type Message, StreamLink } from './streamLink';

export type Live = {
  inventory: Inventory;
  alerts: Alert[];
  /** False until the first message. */
  isLoaded: boolean;
  /** Set while the stream is interrupted: when the rows were current, and the next attempt. */
  lost?: Lost;
};

/** Rows by id; messages change it. */
export class Rows {
  private rows = new Map<string, Row>();
  private guests = new Map<string, Guest>();
  private inventory = EMPTY;
  /** What is wrong; the same list until that changes. */
  alerts: Alert[] = [];
  /** What was asked of guests, with their status before. */
  private expected = new Map<number, { word: string; status: string }>();

  /** Shows a guest as busy with this until it has another status; without a word, as it is. */
  expect(vmid: number, word?: string): Inventory {
    const guest = this.inventory.byVmid.get(vmid);
    if (!guest || guest.expected === word) return this.inventory;
    if (word) this.expected.set(vmid, { word, status: guest.status });
    else this.expected.delete(vmid);
    const shown = this.asExpected({ ...guest, state: stateOf(guest), expected: undefined });
    this.guests.set(guest.id, shown);
    this.inventory = updated(this.inventory, { guests: [shown], areFigures: false });
    return this.inventory;
  }

  private asExpected(guest: Guest): Guest {
    const expected = this.expected.get(guest.vmid);
    if (!expected) return guest;
    if (guest.status === expected.status)
      return { ...guest, state: 'busy', expected: expected.word };
    this.expected.delete(guest.vmid);
    return guest;
  }

  apply(message: Message, now: number): Inventory {
    const before = this.guests;
    if (message.reset) {
      this.rows = new Map();
      this.guests = new Map();
    }
    const changed: Guest[] = [];
    let [areFigures, areOthers] = [true, false];
    const count = this.guests.size;
    for (const row of message.rows) {
      const known = this.guests.get(row.id) ?? this.rows.get(row.id);
      if (row.type === 'qemu' || row.type === 'lxc') {
        const guest = this.asExpected(guestOf(row as GuestRow, before.get(row.id), now));
        this.guests.set(row.id, guest);
        changed.push(guest);
        areFigures &&= isSameButFigures(known, guest);
      } else {
        this.rows.set(row.id, row);
        areOthers = true;
        areFigures &&= isSameButFigures(known, row);
      }
    }
    const isSameSet = !message.reset && message.gone.length === 0 && this.guests.size === count;
    const others = areOthers ? othersOf(this.rows.values()) : undefined;
    for (const id of message.gone) {
      this.rows.delete(id);
      this.guests.delete(id);
    }
    this.inventory = isSameSet
      ? updated(this.inventory, { guests: changed, others, areFigures })
      : inventoryOf(this.rows, this.guests);
    const isAlert = (id: string) => id.startsWith('alert/');
    if (message.reset || message.rows.some(({ id }) => isAlert(id)) || message.gone.some(isAlert)) {
      this.alerts = alertsOf(this.rows.values());
    }
    return this.inventory;
  }
}

const NOTHING: Live = { inventory: EMPTY, alerts: [], isLoaded: false };
const live = new Store(NOTHING);
let rows = new Rows();
/** The connection: shared with other tabs where the browser can do that. */
let connection: Connection | undefined;

type Connection = { open: (user: string) => void; close: () => void };

function hear(heard: Heard) {
  switch (heard.kind) {
    case 'message':
      return live.set({
        inventory: rows.apply(heard.message, Date.now()),
        alerts: rows.alerts,
        isLoaded: true,
      });
    case 'lost':
      return live.set({ ...live.get(), lost: heard.lost });
    case 'ended':
      return end();
    case 'replaced':
      // The cookie is another user's by now, and so are the answers that this page would get.
      return location.reload();
  }
}

function ownConnection(): Connection {
  const link = new StreamLink(hear);
  return { open: () => link.open(), close: () => link.close() };
}

function sharedConnection(): Connection {
  // Written in one piece: so the build finds the worker.
  const worker = new SharedWorker(new URL('./streamWorker.ts', import.meta.url), {
    type: 'module',
    name: 'changes',
  });
  const say = (request: Request) => worker.port.postMessage(request);
  let user: string | undefined;
  worker.port.onmessage = (event: MessageEvent<Heard>) => {
    if (user !== undefined) hear(event.data);
  };
  worker.onerror = () => {
    connection = ownConnection();
    if (user !== undefined) connection.open(user);
  };
  return {
    open: (by) => {
      user = by;
      say({ kind: 'open', user: by });
    },
    close: () => {
      user = undefined;
      say({ kind: 'close' });
    },
  };
}

export function openStream(user: string) {
  connection ??= 'SharedWorker' in globalThis ? sharedConnection() : ownConnection();
  connection.open(user);
}

export function closeStream() {
  connection?.close();
}

/** Forgets everything, for another user. */
export function resetStream() {
  closeStream();
  rows = new Rows();
  live.set(NOTHING);
}

/** A page that is left says so, and comes back to its rows if it is kept by the browser. */
export function closeWithPage() {
  addEventListener('pagehide', closeStream);
  addEventListener('pageshow', (event) => {
    const session = getSession();
    if (event.persisted && session.state === 'in') openStream(session.user);
  });
}

/** Shows at once what was asked of a guest; without a word, what is so. */
export function expectState(vmid: number, word?: string) {
  const inventory = rows.expect(vmid, word);
  const before = live.get();
  if (inventory !== before.inventory) live.set({ ...before, inventory });
}

/** Waits until a guest is in the inventory; false if it is not in time. */
export function guestAppears(vmid: number, ms: number): Promise<boolean> {
  return new Promise((done) => {
    const end = (isThere: boolean) => {
      clearTimeout(timer);
      leave();
      done(isThere);
    };
    const look = () => getLive().inventory.byVmid.has(vmid) && end(true);
    const timer = setTimeout(() => end(false), ms);
    const leave = live.subscribe(look);
    look();
  });
}

export const getLive = (): Live => live.get();

export const useLive = (): Live => useStore(live);

/** Since when the stream is interrupted, if it is: not a change with each message. */
export const useLost = (): Lost | undefined => usePartOf(live, ({ lost }) => lost);

export function useInventory(): Inventory {
  return useLive().inventory;
}

/** For what shows no figures: not drawn again with each message. */
export const useOutline = (): Outline => usePartOf(live, ({ inventory }) => inventory.outline);

export const useGuest = (vmid: number): Guest | undefined =>
  usePartOf(live, ({ inventory }) => inventory.byVmid.get(vmid));

export const useAlerts = (): Alert[] => usePartOf(live, ({ alerts }) => alerts);
