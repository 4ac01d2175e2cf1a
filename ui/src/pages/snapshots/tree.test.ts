import { expect, it } from 'vitest';
import { placed } from './tree';

it('ancestors of now are one line, branches have lanes of their own', () => {
  const rows = placed([
    { name: 'a', snaptime: 1 },
    { name: 'b', snaptime: 2, parent: 'a' },
    { name: 'x', snaptime: 3, parent: 'a' },
    { name: 'y', snaptime: 4, parent: 'x' },
    { name: 'c', snaptime: 5, parent: 'b' },
    { name: 'current', parent: 'c' },
  ]);
  expect(rows.map((row) => [row.snapshot.name, row.lane, row.parentRow, row.isAncestor])).toEqual([
    ['current', 0, 1, true],
    ['c', 0, 4, true],
    ['y', 1, 3, false],
    ['x', 1, 5, false],
    ['b', 0, 5, true],
    ['a', 0, undefined, true],
  ]);
});

it('a snapshot whose parent is gone is a root', () => {
  const rows = placed([{ name: 'a', snaptime: 1, parent: 'gone' }, { name: 'current' }]);
  expect(rows.map((row) => row.parentRow)).toEqual([undefined, undefined]);
});
