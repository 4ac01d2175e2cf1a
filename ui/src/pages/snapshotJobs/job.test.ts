import { expect, it } from 'vitest';
import { valuesOf } from '../records/values';
import { choiceOf, guestsOf, type Job, keepsOf, missedOf, paramsOf, pauseOf, whenOf } from './job';

const job = (more: Partial<Job>): Job => ({
  id: 'daily',
  schedule: '2:30',
  missed: 0,
  nodes: [],
  ...more,
});

it('which guests a job has, and what stays, is said in words', () => {
  const told = [
    job({ vmid: '100,101', all: false }),
    job({ vmid: 100 }),
    job({ pool: 'web' }),
    job({ tag: 'production', node: 'pve1' }),
    job({ all: true }),
    job({ all: 1, exclude: '100' }),
  ].map((one) => `${choiceOf(one)}: ${guestsOf(one)}`);
  expect(told).toEqual([
    'vmid: 100, 101',
    'vmid: 100',
    'pool: pool web',
    'tag: tag production on pve1',
    'all: all',
    'all: all but 100',
  ]);
  expect(keepsOf(job({ 'keep-daily': 7, 'keep-last': 3, 'keep-yearly': 0 }))).toBe(
    'last 3, 7 daily',
  );
  expect(keepsOf(job({}))).toBe('all');
  expect(whenOf(job({}))).toBe('2:30');
  expect(whenOf(job({ before: 'config,exec' }))).toBe('2:30; before config, exec');
  expect(whenOf(job({ schedule: undefined, before: 'exec' }))).toBe('before exec');
});

it('missed runs of all nodes are told newest first', () => {
  const missed = (node: string, ...dues: number[]) => ({
    node,
    missed: dues.length,
    'missed-runs': dues.map((due) => ({ due, reason: 'late' as const })),
  });
  const nodes = [missed('a', 100, 300), missed('b', 200)];
  const told = missedOf(job({ missed: 3, nodes }), 2);
  expect(told.map((text) => text.slice(0, 1))).toEqual(['a', 'b']);
  expect(told[0]).toContain('the node was not ready');
});

it('other guests take the place of those before', () => {
  const names = ['schedule', 'comment', 'vmid', 'pool', 'tag', 'exclude', 'keep-last'];
  const before = valuesOf(job({ vmid: '100', comment: 'old', 'keep-last': 3 }), names);
  const values = { ...before, pool: 'web', comment: '' };
  expect(paramsOf(values, before, 'pool', 'abc')).toEqual({
    schedule: '2:30',
    pool: 'web',
    'keep-last': '3',
    delete: 'comment',
    digest: 'abc',
  });
  const all = valuesOf(job({ all: true, exclude: '100' }), names);
  expect(paramsOf({ ...all, exclude: '' }, all, 'all')).toMatchObject({
    all: 1,
    delete: 'exclude',
  });
  expect(paramsOf({ ...all, tag: 'x' }, all, 'tag')).not.toHaveProperty('exclude');
});

it('the list is read more often while a job runs', () => {
  const pauses = [[job({ state: 'running' }), job({})], [job({ state: 'OK' })]].map(pauseOf);
  expect(pauses[0]).toBeLessThan(pauses[1] ?? 0);
});
