import { expect, it } from 'vitest';
import type { Operation } from '../api/operations';
import { GUEST_ACTIONS, isOffered } from './guest';

const operation = (method: string, path: string): Operation => ({
  method,
  path: `/nodes/{node}/${path}`,
  name: '',
  summary: '',
  params: [],
  returns: {},
  permissions: {},
});

it('a kind of guest has the actions that the node offers for it', () => {
  const table = [
    operation('POST', 'lxc/{vmid}/status/start'),
    operation('GET', 'lxc/{vmid}/snapshot'),
    operation('DELETE', 'lxc/{vmid}'),
    operation('POST', 'qemu/{vmid}/status/reset'),
    { ...operation('POST', ''), path: '/ostler/nodes/{node}/lxc/{vmid}/exec' },
  ];
  const idsOf = (type: 'qemu' | 'lxc') =>
    GUEST_ACTIONS.filter((action) => isOffered(action, { type }, table)).map(({ id }) => id);
  expect(idsOf('lxc')).toEqual(['start', 'exec', 'destroy']);
  expect(idsOf('qemu')).toEqual(['reset']);
});

it('what a node offers is tried until it is known', () => {
  const all = GUEST_ACTIONS.every((action) => isOffered(action, { type: 'lxc' }, undefined));
  expect(all).toBe(true);
});
