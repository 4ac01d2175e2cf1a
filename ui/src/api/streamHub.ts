/** Shares one connection among the tabs of a browser. */

import type { Row } from './resources';
import type { News, Tell } from './streamLink';

/** What a tab says: who it wants to see as, or that it goes. */
export type Request = { kind: 'open'; user: string } | { kind: 'close' };

/** What a tab hears besides: another user has logged in. */
export type Heard = News | { kind: 'replaced' };

type Tab = { postMessage: (heard: Heard) => void };
type Link = { open: () => void; close: () => void };

export class Hub<T extends Tab> {
  private tabs = new Set<T>();
  private user = '';
  private link: Link | undefined;
  /** The rows by now, for tabs that come later. */
  private rows = new Map<string, Row>();
  private revision = '';
  /** Set while the connection is lost. */
  private lost: News | undefined;

  constructor(private connect: (tell: Tell) => Link) {}

  hear(tab: T, request: Request) {
    if (request.kind === 'close') this.leave(tab);
    else this.join(tab, request.user);
  }

  private join(tab: T, user: string) {
    if (this.link && user !== this.user) {
      this.end({ kind: 'replaced' }, tab);
    }
    this.user = user;
    this.tabs.add(tab);
    if (!this.link) {
      this.link = this.connect((news) => this.pass(news));
      this.link.open();
    } else if (this.revision) {
      const message = {
        revision: this.revision,
        reset: 1,
        rows: [...this.rows.values()],
        gone: [],
      };
      tab.postMessage({ kind: 'message', message });
      if (this.lost) tab.postMessage(this.lost);
    }
  }

  private leave(tab: T) {
    this.tabs.delete(tab);
    if (this.tabs.size === 0) this.forget();
  }

  private pass(news: News) {
    if (news.kind === 'ended') return this.end(news);
    this.lost = news.kind === 'lost' ? news : undefined;
    if (news.kind === 'message') {
      const { revision, reset, rows, gone } = news.message;
      if (reset) this.rows.clear();
      for (const row of rows) this.rows.set(row.id, row);
      for (const id of gone) this.rows.delete(id);
      this.revision = revision;
    }
    for (const tab of this.tabs) tab.postMessage(news);
  }

  /** Says a last word to all tabs, or all but one. */
  private end(word: Heard, except?: T) {
    for (const tab of this.tabs) if (tab !== except) tab.postMessage(word);
    this.tabs.clear();
    this.forget();
  }

  private forget() {
    this.link?.close();
    this.link = undefined;
    this.rows = new Map();
    this.revision = '';
    this.lost = undefined;
  }
}
