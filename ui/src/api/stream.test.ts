import { expect, it } from 'vitest';
import type { Row } from './resources';
import { Rows } from './stream';

const guest = (vmid: number, more = {}) =>
  ({ id: `qemu/${vmid}`, type: 'qemu', vmid, node: 'n1', status: 'running', ...more }) as Row;
const node = (name: string, cpu = 0) =>
  ({ id: `node/${name}`, type: 'node', node: name, status: 'online', cpu }) as Row;

it('messages change the inventory, and only what they name', () => {
  const rows = new Rows();
  const say = (reset: number, changed: Row[], gone: string[] = []) =>
    rows.apply({ revision: 'r', reset, rows: changed, gone }, 1000);
  const first = say(1, [guest(102), guest(100, { tags: 'web' }), guest(101), node('n1')]);
  expect(first.guests.map((one) => one.vmid)).toEqual([100, 101, 102]);
  expect(first.tags).toEqual(['web']);
  const second = say(0, [guest(101, { name: 'db', tags: 'prod;web' }), node('n1', 0.5)]);
  expect(second.guests.map((one) => one.label)).toEqual(['VM 100', 'db', 'VM 102']);
  expect(second.guests[0]).toBe(first.guests[0]);
  expect(second.byVmid.get(101)?.label).toBe('db');
  expect(second.tags).toEqual(['prod', 'web']);
  expect(second.nodes[0]?.cpu).toBe(0.5);
  const third = say(0, [guest(99)], ['qemu/100']);
  expect(third.guests.map((one) => one.vmid)).toEqual([99, 101, 102]);
  expect(third.byVmid.has(100)).toBe(false);
  expect(say(1, [guest(5)]).guests.map((one) => one.vmid)).toEqual([5]);
});

it('the outline stays while only figures change', () => {
  const rows = new Rows();
  const say = (changed: Row[], reset = 0) =>
    rows.apply({ revision: 'r', reset, rows: changed, gone: [] }, 1000);
  const first = say([guest(100, { cpu: 0.1, tags: 'web' }), guest(101), node('n1')], 1);
  expect(first.outline.guests).toBe(first.guests);
  const second = say([guest(100, { cpu: 0.2, tags: 'web', uptime: 5 }), node('n1', 0.5)]);
  expect(second.outline).toBe(first.outline);
  expect(second.guests[0]?.cpu).toBe(0.2);
  const changes: Row[][] = [
    [guest(100, { cpu: 0.2, tags: 'db' })],
    [guest(100)],
    [guest(100, { status: 'stopped' })],
    [guest(101, { node: 'n2' })],
    [node('n2')],
    [{ ...node('n2'), status: 'offline' } as Row],
    [guest(102)],
  ];
  for (const change of changes) {
    const before = say([]);
    const after = say(change);
    expect(after.outline).not.toBe(before.outline);
    expect(after.outline.guests).toBe(after.guests);
  }
});

it('what was asked of a guest is shown until it has another status', () => {
  const rows = new Rows();
  const say = (changed: Row[]) =>
    rows.apply({ revision: 'r', reset: 0, rows: changed, gone: [] }, 1000);
  const off = { status: 'stopped' };
  say([guest(100, off), guest(101, off)]);
  const first = (inventory = rows.expect(100, 'starting')) => {
    const { state, expected } = inventory.byVmid.get(100) ?? {};
    return [state, expected];
  };
  expect(first()).toEqual(['busy', 'starting']);
  expect(first(say([guest(100, { ...off, mem: 1 })]))).toEqual(['busy', 'starting']);
  expect(first(say([guest(100)]))).toEqual(['running', undefined]);
  rows.expect(101, 'starting');
  expect(rows.expect(101).byVmid.get(101)?.state).toBe('stopped');
  expect(rows.expect(5, 'starting').byVmid.has(5)).toBe(false);
});
