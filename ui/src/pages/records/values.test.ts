import { expect, it } from 'vitest';
import type { Field } from '../../api/operations';
import { areWhole, changeOf, valuesOf } from './values';

it('what became empty is deleted', () => {
  const record = { id: 'gpu', mdev: true, level: 7, description: 'old' };
  const before = valuesOf(record, ['description', 'mdev', 'level', 'live-migration-capable']);
  expect(before).toEqual({
    description: 'old',
    mdev: '1',
    level: '7',
    'live-migration-capable': '',
  });
  expect(changeOf({ ...before, description: '', mdev: '0' }, before, 'abc')).toEqual({
    mdev: '0',
    level: '7',
    delete: 'description',
    digest: 'abc',
  });
  expect(changeOf({ id: 'new', description: '' }, valuesOf(undefined, ['id']))).toEqual({
    id: 'new',
  });
});

it('a form is whole when nothing is missing and nothing refused', () => {
  const fields: Field[] = [
    { name: 'id', type: 'string' },
    { name: 'level', type: 'integer', minimum: 1, optional: 1 },
  ];
  expect(areWhole(fields, { id: 'a' })).toBe(true);
  expect(areWhole(fields, { id: '' })).toBe(false);
  expect(areWhole(fields, { id: 'a', level: '0' })).toBe(false);
});
