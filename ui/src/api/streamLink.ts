/** One connection to the change stream. When it breaks, it is opened again and catches up. */

import type { Row } from './resources';

export type Message = { revision: string; reset: number; rows: Row[]; gone: string[] };

/** When the rows were current, and the next attempt. */
export type Lost = { since: number; retryAt: number };

export type News =
  | { kind: 'message'; message: Message }
  | { kind: 'lost'; lost: Lost }
  /** The credential has ended. */
  | { kind: 'ended' };

export type Tell = (news: News) => void;

const PAUSES_MS = [1000, 2000, 4000, 8000, 15000];
/** The credential has ended, or we sent something. */
const POLICY = 1008;
/** A timer that is later than this by so much means that the machine has slept. */
const TICK_MS = 5000;
const SLEPT_MS = 20_000;

export class StreamLink {
  private socket: WebSocket | undefined;
  private revision = '';
  private attempt = 0;
  private lostSince: number | undefined;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private tick: ReturnType<typeof setInterval> | undefined;

  constructor(private tell: Tell) {}

  /** Opens it, or opens it again at the revision that was seen last. */
  open() {
    this.close();
    const scheme = location.protocol === 'http:' ? 'ws' : 'wss';
    const since = this.revision ? `?since=${encodeURIComponent(this.revision)}` : '';
    const url = `${scheme}://${location.host}/api2/json/ostler/changes${since}`;
    const socket = new WebSocket(url, ['ostler.changes']);
    this.socket = socket;
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data as string) as Message;
      this.revision = message.revision;
      this.attempt = 0;
      this.lostSince = undefined;
      this.tell({ kind: 'message', message });
    };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.close();
      if (event.code === POLICY) this.tell({ kind: 'ended' });
      else this.openLater();
    };
    this.watchForSleep();
  }

  close() {
    clearTimeout(this.retry);
    clearInterval(this.tick);
    const open = this.socket;
    this.socket = undefined;
    open?.close();
  }

  private openLater() {
    const pause = PAUSES_MS[Math.min(this.attempt, PAUSES_MS.length - 1)] ?? 15000;
    this.attempt += 1;
    const now = Date.now();
    this.lostSince ??= now;
    this.tell({ kind: 'lost', lost: { since: this.lostSince, retryAt: now + pause } });
    this.retry = setTimeout(() => this.open(), pause);
  }

  /** The connection of a machine that has slept may be dead without a word. */
  private watchForSleep() {
    let ticked = Date.now();
    this.tick = setInterval(() => {
      const now = Date.now();
      const slept = now - ticked > TICK_MS + SLEPT_MS;
      ticked = now;
      if (slept) this.open();
    }, TICK_MS);
  }
}
