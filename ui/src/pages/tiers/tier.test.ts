import { expect, test } from 'vitest';
import { guestsOf, isChange, paramsOf, propertiesOf, type Tier } from './tier';

const gold: Tier = {
  tier: 'gold',
  tags: 'db;critical',
  pools: 'prod',
  sync: 'always',
  compression: 'lz4',
  priority: 5,
  digest: 'd1',
};

test('a tier is shown by its guests and its properties', () => {
  expect(guestsOf(gold)).toBe('db, critical, prod');
  expect(guestsOf({ tier: 'x', pools: 'a' })).toBe('a');
  expect(propertiesOf(gold)).toBe('sync=always compression=lz4');
});

test('a property that is emptied is deleted', () => {
  const names = ['tags', 'sync', 'compression'];
  const values = { tags: 'db', sync: '', compression: 'zstd' };
  expect(paramsOf(values, gold, names)).toEqual({
    tags: 'db',
    compression: 'zstd',
    delete: 'sync',
    digest: 'd1',
  });
  expect(paramsOf({ ...values, tier: 'new' }, undefined, names).delete).toBeUndefined();
});

test('what stays is no change', () => {
  const one = (verdict: string) => ({ property: 'sync', from: 'standard', verdict });
  expect(
    ['set', 'inherit', 'kept', 'only-new'].filter((verdict) => isChange(one(verdict))),
  ).toEqual(['set', 'inherit']);
});
