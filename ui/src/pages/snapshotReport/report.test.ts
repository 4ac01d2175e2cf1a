import { expect, it } from 'vitest';
import { ApiError } from '../../api/client';
import {
  countOf,
  daysOf,
  filtered,
  guestsIn,
  inAddress,
  isRemovable,
  jobsIn,
  keyOf,
  listOf,
  type Part,
  partsOf,
  planOf,
  prunePath,
  type Snapshot,
  searchOf,
  sendAll,
} from './report';

const DAY = 86_400;

const snapshot = (vmid: number, name: string, more: Partial<Snapshot> = {}): Snapshot => ({
  vmid,
  name,
  type: 'qemu',
  node: 'n1',
  snaptime: 1_700_000_000,
  age: DAY,
  vmstate: 0,
  ...more,
});

const told = (parts: Part[]) => parts.map(({ node, snapshots }) => `${node} ${listOf(snapshots)}`);

it('filters are of the age, the guest and the job, each of them', () => {
  const all = [
    snapshot(100, 'old', { age: 40 * DAY, guest: 'db' }),
    snapshot(101, 'daily-1', { age: 30 * DAY, job: 'daily', guest: 'web' }),
    snapshot(100, 'daily-1', { age: 30 * DAY + 1, job: 'daily', guest: 'db' }),
    snapshot(100, 'new', { age: 0, job: 'hourly', guest: 'db' }),
  ];
  const keys = (search: Parameters<typeof filtered>[1]) => filtered(all, search).map(keyOf);
  expect(keys({})).toEqual(all.map(keyOf));
  // As the node does: what is exactly as old is not older.
  expect(keys({ older: '30' })).toEqual(['100:old', '100:daily-1']);
  expect(keys({ older: '0,5', job: 'hourly' })).toEqual([]);
  expect(keys({ guest: '101' })).toEqual(['101:daily-1']);
  expect(keys({ job: '-' })).toEqual(['100:old']);
  expect(keys({ job: 'daily', guest: '100' })).toEqual(['100:daily-1']);
  expect(guestsIn(all)).toEqual([
    [100, 'db'],
    [101, 'web'],
  ]);
  expect(jobsIn(all)).toEqual(['daily', 'hourly']);
});

it('an age that is no number shows nothing, rather than everything', () => {
  expect(['', ' ', '7', '1.5', '1,5'].map(daysOf)).toEqual([undefined, undefined, 7, 1.5, 1.5]);
  for (const wrong of ['x', '-1', '3 weeks']) {
    expect(daysOf(wrong)).toBeNaN();
    expect(filtered([snapshot(100, 'a')], { older: wrong })).toEqual([]);
  }
});

it('the address has numbers as numbers, and what is typed as it is', () => {
  const address = inAddress({ older: '30', guest: '100', job: 'daily' });
  expect(address).toEqual({ older: 30, guest: 100, job: 'daily' });
  expect(searchOf(address)).toEqual({ older: '30', guest: '100', job: 'daily' });
  expect(inAddress({ older: '1.', guest: undefined })).toEqual({ older: '1.', guest: undefined });
  expect(searchOf({ older: '', guest: ['100'], other: 'x' })).toEqual({});
});

it('a snapshot that is being made is left alone', () => {
  const states = ['prepare', 'delete', undefined];
  expect(states.map((snapstate) => isRemovable(snapshot(100, 'a', { snapstate })))).toEqual([
    false,
    true,
    true,
  ]);
});

it('each node is asked for its own, in parts that it takes', () => {
  const all = [
    snapshot(101, 'b', { node: 'n2' }),
    snapshot(102, 'c'),
    snapshot(100, 'a', { node: 'n2' }),
  ];
  expect(told(partsOf(all))).toEqual(['n1 102:c', 'n2 100:a,101:b']);
  const many = Array.from({ length: 5 }, (_, at) => snapshot(100 + at, 'abc'));
  const parts = partsOf(many, 16);
  expect(told(parts)).toEqual(['n1 100:abc,101:abc', 'n1 102:abc,103:abc', 'n1 104:abc']);
  expect(countOf(parts)).toBe(5);
  expect(prunePath('n 1')).toBe('/ostler/nodes/n%201/snapshots/prune');
});

/** A node that refuses a list because of the first wrong one in it. */
function nodes(wrong: Record<string, ApiError>) {
  const asked: string[] = [];
  const ask = async (part: Part) => {
    asked.push(...told([part]));
    const of = (one: Snapshot) => wrong[one.node] ?? wrong[one.vmid] ?? wrong[keyOf(one)];
    const error = part.snapshots.map(of).find(Boolean);
    if (error) throw error;
    return part.snapshots;
  };
  return { asked, ask };
}

const ALL = [
  ...[100, 101, 102, 103].flatMap((vmid) => [snapshot(vmid, 'a'), snapshot(vmid, 'b')]),
  snapshot(104, 'a', { node: 'n2' }),
];

it('a plan has what goes, and each that is refused with its reason', async () => {
  const { ask, asked } = nodes({
    101: new ApiError(403, 'Permission check failed (/vms/101, VM.Snapshot)'),
    '103:a': new ApiError(400, 'Parameter verification failed.', { snapshots: 'no such one' }),
  });
  const plan = await planOf(ALL, ask);
  expect(told(plan.goes)).toEqual(['n1 100:a,100:b,102:a,102:b,103:b', 'n2 104:a']);
  expect(plan.refused.map(({ snapshots, reason }) => [listOf(snapshots), reason])).toEqual([
    ['101:a,101:b', 'Permission check failed (/vms/101, VM.Snapshot)'],
    ['103:a', 'snapshots: no such one'],
  ]);
  // Without the right no single snapshot of the guest is asked for.
  expect(asked).not.toContain('n1 101:a');
});

it('a node that does not answer is asked once, and the others are not held up', async () => {
  const { ask, asked } = nodes({ n1: new ApiError(595, 'No route to host') });
  const plan = await planOf(ALL, ask);
  expect(asked.length).toBe(2);
  expect(told(plan.goes)).toEqual(['n2 104:a']);
  expect(plan.refused.map(({ snapshots }) => snapshots.length)).toEqual([8]);
});

it('what goes is what the node has said, not what was in the list', async () => {
  const isNow = snapshot(100, 'a', { snaptime: 1_700_000_999 });
  const plan = await planOf([snapshot(100, 'a')], async () => [isNow]);
  expect(plan.goes).toEqual([{ node: 'n1', snapshots: [isNow] }]);
});

it('what is no answer of a node is no refusal', async () => {
  const given = Promise.reject(new DOMException('', 'AbortError'));
  await expect(planOf(ALL, () => given)).rejects.toThrow(DOMException);
});

it('what a node did not take on is left, and the others have it', async () => {
  const { ask, asked } = nodes({ n1: new ApiError(500, 'no quorum') });
  const { left, failures } = await sendAll(partsOf(ALL), ask);
  expect(asked.at(-1)).toBe('n2 104:a');
  expect(countOf([{ snapshots: left }])).toBe(8);
  expect(failures.map(([node]) => node)).toEqual(['n1']);
});
