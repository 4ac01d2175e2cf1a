import { expect, it } from 'vitest';
import { inOrder } from './steady';

it('rows keep the order that was held, new ones come last', () => {
  const rows = ['c', 'new', 'a', 'b'].map((id) => ({ id }));
  expect(inOrder(rows, ['a', 'gone', 'b', 'c']).map((row) => row.id)).toEqual([
    'a',
    'b',
    'c',
    'new',
  ]);
});
