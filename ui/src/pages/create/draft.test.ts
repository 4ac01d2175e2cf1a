import { describe, expect, it } from 'vitest';
import { emptyDraft, newDisk, newNet, paramsOfDraft, problemsOf } from './draft';

const draft = () => ({
  ...emptyDraft(),
  vmid: 120,
  name: 'web',
  node: 'n1',
  disks: [newDisk([], 'local')],
  nets: [newNet([], 'vmbr0')],
});

describe('the request of the wizard', () => {
  it('has what is not the default', () => {
    expect(JSON.parse(JSON.stringify(paramsOfDraft(draft())))).toEqual({
      vmid: 120,
      name: 'web',
      ostype: 'l26',
      cores: 2,
      cpu: 'x86-64-v2-AES',
      memory: 2048,
      machine: 'q35',
      scsihw: 'virtio-scsi-single',
      agent: 1,
      serial0: 'socket',
      scsi0: 'local:32,discard=on',
      net0: 'virtio,bridge=vmbr0',
      boot: 'order=scsi0;net0',
      start: 1,
    });
  });
  it('imports an image and hands it its first settings', () => {
    const params = paramsOfDraft({
      ...draft(),
      source: 'image',
      image: 'local:import/debian.qcow2',
      address: 'static',
      ip: '10.0.0.2/24',
      gateway: '10.0.0.1',
      sshkeys: 'ssh-ed25519 AAAA me\n',
    });
    expect(params.scsi0).toBe('local:0,import-from=local:import/debian.qcow2,discard=on');
    expect(params.ide2).toBe('local:cloudinit');
    expect(params.ipconfig0).toBe('ip=10.0.0.2/24,gw=10.0.0.1');
    expect(params.sshkeys).toBe('ssh-ed25519%20AAAA%20me');
  });
  it('boots from the CD if the disk has nothing to boot', () => {
    const params = paramsOfDraft({ ...draft(), source: 'iso', iso: 'local:iso/a.iso' });
    expect(params.boot).toBe('order=scsi0;ide2;net0');
  });
});

it('a disk is an image with snapshots where the storage can have both', () => {
  const disks = [{ ...newDisk([], 'local'), format: 'qcow2' }];
  expect(paramsOfDraft({ ...draft(), disks }).scsi0).toBe('local:32,format=qcow2,discard=on');
});

it('it is not sent before it can be right', () => {
  expect(problemsOf(draft())).toEqual([]);
  expect(problemsOf({ ...draft(), source: 'iso' })).toEqual(['iso']);
  expect(problemsOf({ ...draft(), disks: [newDisk([], '')] })).toEqual(['disks']);
});
