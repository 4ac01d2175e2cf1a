import { expect, it } from 'vitest';
import type { Row } from './resources';
import { type Heard, Hub } from './streamHub';
import type { Message, Tell } from './streamLink';

const row = (vmid: number) => ({ id: `qemu/${vmid}`, type: 'qemu', vmid }) as Row;
const message = (revision: string, reset: number, rows: Row[], gone: string[] = []): Message => ({
  revision,
  reset,
  rows,
  gone,
});

function scene() {
  const links: { tell: Tell; isOpen: boolean }[] = [];
  const hub = new Hub((tell) => {
    const link = { tell, isOpen: false };
    links.push(link);
    return {
      open: () => {
        link.isOpen = true;
      },
      close: () => {
        link.isOpen = false;
      },
    };
  });
  const tab = (user: string) => {
    const heard: Heard[] = [];
    const one = { postMessage: (word: Heard) => void heard.push(word) };
    hub.hear(one, { kind: 'open', user });
    return { heard, close: () => hub.hear(one, { kind: 'close' }) };
  };
  return { links, tab };
}

it('tabs share a connection, which ends with the last of them', () => {
  const { links, tab } = scene();
  const tabs = Array.from({ length: 8 }, () => tab('ann@pve'));
  expect(links.length).toBe(1);
  links[0]?.tell({ kind: 'message', message: message('1', 1, [row(100)]) });
  for (const { heard } of tabs) expect(heard.length).toBe(1);
  for (const { close } of tabs) {
    expect(links[0]?.isOpen).toBe(true);
    close();
  }
  expect(links[0]?.isOpen).toBe(false);
});

it('a tab that comes later gets all rows by now', () => {
  const { links, tab } = scene();
  tab('ann@pve');
  links[0]?.tell({ kind: 'message', message: message('1', 1, [row(100), row(101)]) });
  links[0]?.tell({ kind: 'message', message: message('2', 0, [row(102)], ['qemu/100']) });
  const late = tab('ann@pve');
  const all = message('2', 1, [row(101), row(102)]);
  expect(late.heard).toEqual([{ kind: 'message', message: all }]);
  const lost = { kind: 'lost' as const, lost: { since: 1, retryAt: 2 } };
  links[0]?.tell(lost);
  expect(tab('ann@pve').heard).toEqual([{ kind: 'message', message: all }, lost]);
});

it('the end of the credential ends all tabs, another user replaces them', () => {
  const { links, tab } = scene();
  const first = tab('ann@pve');
  links[0]?.tell({ kind: 'ended' });
  expect(first.heard).toEqual([{ kind: 'ended' }]);
  expect(links[0]?.isOpen).toBe(false);
  const again = tab('ann@pve');
  const other = tab('bob@pve');
  expect(again.heard).toEqual([{ kind: 'replaced' }]);
  expect(other.heard).toEqual([]);
  expect(links.map((link) => link.isOpen)).toEqual([false, false, true]);
});
