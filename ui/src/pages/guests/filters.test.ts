import { describe, expect, it } from 'vitest';
import { type GuestRow, guestOf } from '../../api/resources';
import { csvOf, guestSearchOf, matcherOf, sortingOf, sortOf, toggled } from './filters';

const guest = (more: Partial<GuestRow>) =>
  guestOf(
    { id: 'qemu/1', type: 'qemu', vmid: 100, node: 'n1', status: 'running', ...more },
    undefined,
    0,
  );

describe('filters', () => {
  const web = guest({ name: 'web', tags: 'prod;edge', pool: 'a' });
  it('match one of the values of each key', () => {
    expect(matcherOf({ q: ' ' })).toBeUndefined();
    expect(matcherOf({ tag: 'db,prod', state: 'running' })?.(web)).toBe(true);
    expect(matcherOf({ tag: 'prod', state: 'stopped,paused' })?.(web)).toBe(false);
    expect(matcherOf({ q: 'edge 10' })?.(web)).toBe(true);
  });
  it('are added and removed', () => {
    expect(toggled({ tag: 'a' }, 'tag', 'b')).toEqual({ tag: 'a,b' });
    expect(toggled({ tag: 'a' }, 'tag', 'a')).toEqual({ tag: undefined });
  });
  it('take what an address may have', () => {
    expect(guestSearchOf({ q: 214, tag: ['x'], other: 'y' })).toEqual({ q: '214' });
  });
});

it('sort order is in the address', () => {
  const sorting = sortingOf('state,-cpu');
  expect(sorting).toEqual([
    { id: 'state', desc: false },
    { id: 'cpu', desc: true },
  ]);
  expect(sortOf(sorting)).toBe('state,-cpu');
});

it('a spreadsheet runs nothing of a copied table', () => {
  expect(
    csvOf(
      ['a', 'b'],
      [
        ['=1+1', 5],
        ['x"y', 1],
      ],
    ),
  ).toBe('a,b\r\n\'=1+1,5\r\n"x""y",1');
});
