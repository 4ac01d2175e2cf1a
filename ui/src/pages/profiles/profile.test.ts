import { expect, it } from 'vitest';
import type { Field } from '../../api/operations';
import {
  cpusOf,
  createNames,
  createParams,
  createPath,
  disksOf,
  firstDiskOf,
  formOf,
  memoryOf,
  netOf,
  type Profile,
  paramsOf,
  partsOf,
  single,
  sizesWith,
  sizeText,
} from './profile';

const profile = (more: Partial<Profile> & Record<string, unknown>): Profile => ({
  profile: 'small',
  ...more,
});

it('what a profile does not say is of its template, or the default', () => {
  const told = [
    profile({}),
    profile({ from: 9000, sockets: 2, cores: 4, memory: 2048, 'disk-size': 'scsi0=40G,scsi1=10G' }),
    profile({ from: 9000 }),
    profile({ from: 9000, cores: 4, memory: 'current=512' }),
    profile({ from: 9000, sockets: 1 }),
    profile({ scsi0: 'local-lvm:40,discard=on', scsihw: 'lsi', virtio1: 'nfs:8' }),
  ].map((one) => [cpusOf(one), memoryOf(one), disksOf(one)].join('; '));
  expect(told).toEqual([
    '1; default; none',
    '8; 2 GiB; scsi0 40G, scsi1 10G',
    'as template; as template; as template',
    '4 cores; 512 MiB; as template',
    '1 socket; as template; as template',
    '1; default; scsi0 local-lvm:40, virtio1 nfs:8',
  ]);
});

it('a size has a unit, and of several disks the others stay', () => {
  const sizes = ['40', '40G', '1.5 tib', '512M', 'x', '40GG', '-1'].map(sizeText);
  expect(sizes).toEqual(['40G', '40G', '1.5T', '512M', undefined, undefined, undefined]);
  const list = 'scsi0=40G,scsi1=10G';
  expect(sizesWith(list, 'scsi0', { slot: 'scsi0', size: '50G' })).toBe('scsi0=50G,scsi1=10G');
  expect(sizesWith(list, 'scsi0', { slot: 'virtio0', size: '50G' })).toBe('virtio0=50G,scsi1=10G');
  expect(sizesWith(list, 'scsi0', { slot: 'scsi0', size: '' })).toBe('scsi1=10G');
  expect(sizesWith('', undefined, { slot: 'scsi0', size: '' })).toBe('');
});

it('the first disk of a template is the one that it starts from', () => {
  const disks = { scsi10: 'a:1', scsi2: 'a:2', ide2: 'a:cloudinit,media=cdrom' };
  expect(firstDiskOf({ ...disks, boot: 'order=ide2;net0;scsi10' })).toBe('scsi10');
  expect(firstDiskOf({ ...disks, boot: 'order=scsi5' })).toBe('scsi2');
  expect(firstDiskOf({ ...disks, scsihw: 'lsi' })).toBe('scsi2');
  expect(firstDiskOf({ ide2: 'none,media=cdrom' })).toBeUndefined();
});

it('a new profile has a disk of its own, or what belongs to a template', () => {
  const values = {
    ...formOf(undefined),
    profile: 'small',
    cores: '2',
    full: '1',
    storage: 'nfs',
    scsi0: 'local:40',
    'disk-size': 'scsi0=40G',
  };
  expect(paramsOf(values, undefined)).toEqual({ profile: 'small', cores: '2', scsi0: 'local:40' });
  const cloned = { ...values, from: '9000', sshkeys: 'ssh-ed25519 AAAA me\n' };
  const params = {
    profile: 'small',
    cores: '2',
    from: '9000',
    full: '1',
    storage: 'nfs',
    'disk-size': 'scsi0=40G',
    sshkeys: 'ssh-ed25519%20AAAA%20me',
  };
  expect(paramsOf(cloned, undefined)).toEqual(params);
  const linked = paramsOf({ ...cloned, full: '0' }, undefined);
  expect(linked).toEqual({ ...params, full: '0', storage: undefined });
});

it('a change takes back what was emptied; with the template goes what belongs to it', () => {
  const before = profile({
    from: 9000,
    storage: 'nfs',
    comment: 'old',
    sshkeys: 'ssh-ed25519%20AAAA%20me',
    digest: 'abc',
    agent: '1',
  });
  const form = formOf(before);
  // Its storage makes copies of it.
  expect(form).toMatchObject({ from: '9000', full: '1', sshkeys: 'ssh-ed25519 AAAA me' });
  expect(paramsOf({ ...form, comment: '', from: '', scsi0: 'local:8' }, before)).toEqual({
    sshkeys: 'ssh-ed25519%20AAAA%20me',
    scsi0: 'local:8',
    delete: 'comment,from,full,storage',
    digest: 'abc',
  });
  const bare = profile({ scsi0: 'local:8' });
  expect(paramsOf({ ...formOf(bare), from: '9000' }, bare)).toEqual({
    from: '9000',
    delete: 'scsi0',
  });
});

const NET: Field = {
  name: 'net[n]',
  type: 'string',
  format: {
    model: { type: 'string', default_key: 1 },
    bridge: { type: 'string', optional: 1 },
    tag: { type: 'integer', optional: 1 },
  },
};

it('a card needs a bridge, and gets a model', () => {
  expect(netOf(NET, 'bridge=vmbr0,tag=5')).toBe('virtio,bridge=vmbr0,tag=5');
  expect(netOf(NET, 'e1000,bridge=vmbr0')).toBe('e1000,bridge=vmbr0');
  expect(netOf(NET, 'virtio,tag=5')).toBe('');
});

it('memory is held to the limits of its one property, a card is not', () => {
  const memory: Field = {
    name: 'memory',
    optional: 1,
    format: { current: { type: 'integer', minimum: 16, default_key: 1 } },
  };
  expect(single(memory)).toMatchObject({ name: 'memory', type: 'integer', minimum: 16 });
  expect(single(memory).optional).toBe(1);
  expect(single(NET)).toBe(NET);
});

it('virtual machines are made with what differs from the profile', () => {
  expect(createPath('n 1', 'small')).toBe('/ostler/nodes/n%201/profiles/small/create');
  const params = createParams({ count: '3', start: '1', name: ' web ', cores: '', node: 'x' });
  expect(Object.fromEntries(Object.entries(params).filter(([, value]) => value))).toEqual({
    count: '3',
    start: '1',
    name: 'web',
  });
  expect(createParams({ count: '1', vmid: '120' })).toMatchObject({ vmid: '120' });
  expect(createParams({ count: '2', vmid: '120' })).not.toHaveProperty('vmid');
  expect(createNames({ count: '' })).toContain('vmid');
});

it('the form has what the node takes, and of a clone what makes sense', () => {
  const names = ['profile', 'comment', 'full', 'storage', 'scsi[n]', 'cores', 'ipconfig[n]'];
  const field = (name: string): [string, Field] => [name, { name, default: '1' }];
  const known = new Map(names.map(field));
  const shown = (values: Record<string, string>, fields = known) =>
    Object.values(partsOf(fields, values)).map((part) => part.map(({ name }) => name));
  const [head, rest] = [
    ['profile', 'comment'],
    [['cores'], ['ipconfig0']],
  ];
  expect(shown({ from: '' })).toEqual([head, ['scsi0'], ...rest]);
  expect(shown({ from: '9000' })).toEqual([head, ['full'], ...rest]);
  expect(shown({ from: '9000', full: '1' })).toEqual([head, ['full', 'storage'], ...rest]);
  const ofPut = new Map([...known, ['profile', { name: 'profile', in: 'path' as const }]]);
  expect(shown({}, ofPut as typeof known)[0]).toEqual(['comment']);
  expect(partsOf(known, { from: '' }).compute[0]?.default).toBe('1');
  expect(partsOf(known, { from: '9000' }).compute[0]?.default).toBeUndefined();
});
