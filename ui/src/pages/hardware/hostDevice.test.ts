import { expect, it } from 'vitest';
import { sourcesFor } from './hostDevice';

it('devices are named by a mapping; as the host knows them only by root@pam', () => {
  const all = ['mapping', 'address'] as const;
  expect(sourcesFor('root@pam', all, 'mapping')).toEqual(all);
  expect(sourcesFor('root@pve', all, 'mapping')).toEqual(['mapping']);
  expect(sourcesFor(undefined, all, 'mapping')).toEqual(['mapping']);
  // What another has chosen is shown as it is, and can be changed.
  expect(sourcesFor('ann@pve', all, 'address')).toEqual(all);
});
