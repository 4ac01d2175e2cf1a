/** What guests have used of their processors in the last hour: one request for all that are shown. */

import { useEffect } from 'react';
import { Store, usePartOf } from '../store';
import { api } from './client';

/** A value a minute, in thousandths; null where it is not known. */
export type LastHour = (number | null)[];

type Answer = { vmid: number; end: number; cpu: LastHour };
type Ask = (vmids: number[]) => Promise<Answer[]>;

/** What appears together is asked for together. */
const GATHER_MS = 150;
/** There is a new value each minute. */
const PERIOD_MS = 60_000;
/** A timer may be early. */
const EARLY_MS = 1000;
/** The node answers for so many at a time. */
const AT_ONCE = 100;

export class Hours {
  private shown = new Map<number, number>();
  /** By number of the guest. */
  readonly known = new Store<ReadonlyMap<number, LastHour>>(new Map());
  private askedAt = new Map<number, number>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private dueAt = Number.POSITIVE_INFINITY;

  constructor(private ask: Ask) {}

  get = (vmid: number): LastHour | undefined => this.known.get().get(vmid);

  /** A guest is shown, until the answer is called. */
  show(vmid: number): () => void {
    this.shown.set(vmid, (this.shown.get(vmid) ?? 0) + 1);
    if (this.isOld(vmid)) this.askIn(GATHER_MS);
    return () => {
      const count = (this.shown.get(vmid) ?? 1) - 1;
      if (count > 0) this.shown.set(vmid, count);
      else this.shown.delete(vmid);
    };
  }

  private isOld(vmid: number): boolean {
    return Date.now() - (this.askedAt.get(vmid) ?? 0) >= PERIOD_MS - EARLY_MS;
  }

  private askIn(ms: number) {
    const at = Date.now() + ms;
    if (at >= this.dueAt) return;
    clearTimeout(this.timer);
    this.dueAt = at;
    this.timer = setTimeout(() => this.askNow(), ms);
  }

  private askNow() {
    this.dueAt = Number.POSITIVE_INFINITY;
    if (this.shown.size === 0) return;
    this.askIn(PERIOD_MS);
    const old = [...this.shown.keys()].filter((vmid) => this.isOld(vmid));
    for (let at = 0; at < old.length; at += AT_ONCE) void this.askFor(old.slice(at, at + AT_ONCE));
  }

  /** What is not answered is asked for again in a minute: a line is missing until then. */
  private async askFor(vmids: number[]) {
    for (const vmid of vmids) this.askedAt.set(vmid, Date.now());
    const answers = await this.ask(vmids).catch(() => []);
    const known = new Map(this.known.get());
    for (const { vmid, cpu } of answers) known.set(vmid, cpu);
    this.known.set(known);
  }
}

const hours = new Hours((vmids) =>
  api.get<Answer[]>('/ostler/last-hour', { vms: vmids.join(',') }),
);

/** The last hour of a guest that is shown. */
export function useLastHour(vmid: number): LastHour | undefined {
  useEffect(() => hours.show(vmid), [vmid]);
  return usePartOf(hours.known, (known) => known.get(vmid));
}
