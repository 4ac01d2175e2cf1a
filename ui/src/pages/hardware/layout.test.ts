import { expect, it } from 'vitest';
import { additionsOf, freeSlot, isFixed, keysOf, pagesOf } from './layout';

const container = new Map([
  ['memory', '512'],
  ['rootfs', 'local:100/vm-100-disk-0.raw,size=4G'],
  ['mp1', 'local:100/vm-100-disk-1.raw,mp=/srv'],
  ['net0', 'name=eth0,bridge=vmbr0'],
  ['unprivileged', '1'],
  ['nameserver', '10.0.0.1'],
  ['debug', '1'],
  ['lxc.environment', 'A=b'],
  ['description', 'notes'],
]);

it('each key of a container is on one page, and what other pages change is on none', () => {
  const pages = pagesOf('lxc');
  expect(pages).toEqual(['hardware', 'network', 'dns', 'options']);
  const places = (key: string) =>
    pages.filter((page) => keysOf('lxc', page, container).includes(key));
  expect(places('mp1')).toEqual(['hardware']);
  expect(places('net0')).toEqual(['network']);
  expect(places('nameserver')).toEqual(['dns']);
  expect(places('debug')).toEqual(['options']);
  expect([...places('lxc.environment'), ...places('description')]).toEqual([]);
});

it('keys of a virtual machine are where they were', () => {
  const config = new Map([
    ['net0', 'virtio,bridge=vmbr0'],
    ['cipassword', 'x'],
    ['args', '-s'],
  ]);
  expect(keysOf('qemu', 'hardware', config).at(-1)).toBe('net0');
  expect(keysOf('qemu', 'options', config)).toContain('args');
  const withStick = new Map([...config, ['usb0', 'mapping=stick']]);
  expect(keysOf('qemu', 'hardware', withStick).at(-1)).toBe('usb0');
  expect(keysOf('qemu', 'options', withStick)).not.toContain('usb0');
  expect(keysOf('qemu', 'options', config)).not.toContain('cipassword');
  const devices = ['usb0', 'hostpci0', 'hostpci10', 'virtiofs0', 'audio0'];
  const withAll = new Map([...config, ...devices.map((key): [string, string] => [key, 'x'])]);
  expect(keysOf('qemu', 'hardware', withAll).slice(-5)).toEqual(devices);
  const elsewhere = keysOf('qemu', 'options', new Map([...withAll, ['hugepages', 'any']]));
  expect(elsewhere.filter((key) => [...devices, 'hugepages'].includes(key))).toEqual([]);
});

it('what is added to a container has a path or name by its slot', () => {
  const [mount] = additionsOf('lxc', 'hardware');
  const [card] = additionsOf('lxc', 'network');
  const taken = (key: string) => container.has(key);
  const slots = [mount, card].map((one) => one && freeSlot(one, taken));
  expect(slots).toEqual(['mp0', 'net1']);
  expect(mount?.value('local', 'vmbr0', 'mp0')).toBe('local:8,mp=/mnt/data0');
  expect(card?.value('local', 'vmbr0', 'net1')).toBe('name=eth1,bridge=vmbr0,ip=dhcp');
  expect([isFixed('lxc', 'unprivileged'), isFixed('lxc', 'features')]).toEqual([true, false]);
});
