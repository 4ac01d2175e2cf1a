import { expect, it } from 'vitest';
import { diskWords, netWords } from './facts';

it('disks are told by size, storage and place', () => {
  expect(diskWords('local:100/vm-100-disk-0.qcow2,size=20240K', 'file')).toBe('20 MiB, local');
  expect(diskWords('local:100/vm-100-disk-1.raw,mp=/srv/data,size=8G', 'volume')).toBe(
    '8 GiB, local, /srv/data',
  );
});

it('cards are told by model or name, bridge and addresses', () => {
  expect(netWords('virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=28')).toBe('virtio, vmbr0, VLAN 28');
  expect(netWords('name=eth0,bridge=vmbr0,ip=10.0.0.5/24,ip6=auto,type=veth')).toBe(
    'eth0, vmbr0, 10.0.0.5/24, auto',
  );
});
