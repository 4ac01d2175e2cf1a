import { expect, it } from 'vitest';
import { wireParams } from '../../api/client';
import {
  type AdoptGuest,
  adopted,
  adoptPath,
  confirmOf,
  guestsShown,
  mayAdopt,
  type Plan,
  paramsOf,
  stepOf,
  vmidsOf,
} from './adopt';

const guest = (vmid: number, more: Partial<AdoptGuest> = {}): AdoptGuest => ({
  vmid,
  type: 'qemu',
  template: false,
  volumes: 1,
  snapshots: 0,
  action: 'adopt',
  reasons: [],
  warnings: [],
  ...more,
});

const plan = (guests: AdoptGuest[], more: Partial<Plan> = {}): Plan => ({
  storages: [],
  left: [],
  digest: 'abc',
  guests,
  ...more,
});

const ALL = plan([guest(200), guest(100), guest(101, { action: 'leave', reasons: ['taken'] })]);

it('guests are named only if they are not all that can be taken over', () => {
  expect(adopted(ALL)).toEqual([100, 200]);
  expect(vmidsOf(ALL, new Set([100, 200]))).toBeUndefined();
  expect(vmidsOf(ALL, new Set([200, 101]))).toEqual([200]);
  expect(vmidsOf(ALL, new Set())).toEqual([]);
  expect(vmidsOf(plan([]), new Set())).toBeUndefined();
});

it('a plan is asked for with what is filled in, and carried out as it was shown', () => {
  const values = { source: ' /root/pve ', 'storage-map': 'a:b', drop: '', other: 'x' };
  expect(adoptPath('pve1')).toBe('/ostler/nodes/pve1/adopt');
  expect(wireParams(paramsOf(values, undefined))).toEqual([
    ['source', '/root/pve'],
    ['storage-map', 'a:b'],
  ]);
  expect(wireParams(paramsOf({ source: '/x' }, []))).toEqual([
    ['source', '/x'],
    ['vmids', ''],
  ]);
  expect(wireParams(confirmOf({ values, vmids: [100, 200], plan: ALL }))).toEqual([
    ['source', '/root/pve'],
    ['storage-map', 'a:b'],
    ['vmids', '100,200'],
    ['dry-run', '0'],
    ['confirm', 'abc'],
  ]);
});

it('only the plan that is shown is carried out', () => {
  const values = { source: '/root/pve' };
  const all = { values, plan: ALL };
  const [both, one] = [new Set([100, 200]), new Set([100])];
  expect(stepOf(all, all, { ...values, drop: '' }, both)).toBe('take');
  expect(stepOf(all, all, { ...values, drop: 'hookscript' }, both)).toBe('source');
  expect(stepOf(all, undefined, values, both)).toBe('source');
  expect(stepOf(all, all, values, one)).toBe('choice');
  const some = { values, vmids: [100], plan: plan([guest(100)]) };
  expect(stepOf(all, some, values, one)).toBe('take');
  expect(stepOf(all, some, values, both)).toBe('choice');
  // No guest at all is another plan than all guests; here it has no storage either.
  expect(stepOf(all, all, values, new Set())).toBe('choice');
  expect(stepOf(all, { values, vmids: [], plan: plan([]) }, values, new Set())).toBe('nothing');
});

it('guests that are not chosen stay in sight; a plan of some says what is so by now', () => {
  const some = plan([guest(200, { action: 'leave', reasons: ['gone'] })]);
  const shown = guestsShown(ALL, some).map(({ vmid, reasons }) => [vmid, ...reasons]);
  expect(shown).toEqual([[200, 'gone'], [100], [101, 'taken']]);
});

it('only root@pam may do it', () => {
  expect(['root@pam', 'root@pve', undefined].map(mayAdopt)).toEqual([true, false, false]);
});
