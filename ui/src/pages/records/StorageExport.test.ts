import { expect, it } from 'vitest';
import { exportParams } from './StorageExport';

it('asks for a plan with just what was filled in, and carries it out on demand alone', () => {
  expect(exportParams('tank', { as: '', network: '' }, true)).toEqual({
    storage: 'tank',
    'dry-run': 1,
  });
  expect(exportParams('tank', { as: 'vms', network: '10.1.0.0/24' }, false)).toEqual({
    storage: 'tank',
    as: 'vms',
    network: '10.1.0.0/24',
    'dry-run': 0,
  });
});
