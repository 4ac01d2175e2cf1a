import { QueryClient } from '@tanstack/react-query';
import { afterEach, expect, it, vi } from 'vitest';
import { api } from '../api/client';
import type { Operation } from '../api/operations';
import type { Guest } from '../api/resources';
import { runForAll } from './bulk';
import { guestAction } from './guest';

const guest = (vmid: number, node: string) =>
  ({ type: 'qemu', vmid, node, label: `g${vmid}`, status: 'stopped' }) as Guest;

const GUESTS = [guest(100, 'n1'), guest(101, 'n2'), guest(102, 'n1')];

/** What is posted for an action on all guests, at nodes that offer these operations. */
function posted(id: string, offered: string[]) {
  const post = vi.spyOn(api, 'post').mockResolvedValue(null);
  const client = new QueryClient();
  const table = offered.map((path) => ({ method: 'POST', path }) as Operation);
  client.setQueryData(['operations'], table);
  runForAll(guestAction(id), GUESTS, client);
  return post.mock.calls;
}

afterEach(() => {
  vi.restoreAllMocks();
});

it('a node takes its guests in one task', () => {
  expect(posted('start', ['/nodes/{node}/startall'])).toEqual([
    ['/nodes/n1/startall', { vms: '100,102', force: true }],
    ['/nodes/n2/qemu/101/status/start'],
  ]);
  vi.restoreAllMocks();
  // What does not shut down is not stopped, as with one guest.
  expect(posted('shutdown', ['/nodes/{node}/stopall'])[0]).toEqual([
    '/nodes/n1/stopall',
    { vms: '100,102', 'force-stop': false },
  ]);
});

it('what nodes have no task for is done guest by guest', () => {
  const paths = (id: string, offered: string[]) => posted(id, offered).map(([path]) => path);
  const each = (what: string) => [100, 102].map((vmid) => `/nodes/n1/qemu/${vmid}/status/${what}`);
  expect(paths('reboot', ['/nodes/{node}/startall'])).toEqual([
    ...each('reboot'),
    '/nodes/n2/qemu/101/status/reboot',
  ]);
  vi.restoreAllMocks();
  expect(paths('start', [])).toEqual([...each('start'), '/nodes/n2/qemu/101/status/start']);
});
