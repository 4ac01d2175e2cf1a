import { expect, it } from 'vitest';
import {
  chosenOf,
  entryOf,
  isWhole,
  type Mapping,
  mappingsOn,
  pciChoice,
  placesOf,
  textOfEntry,
  usbChoices,
  withChoice,
} from './mapping';

const GPU = {
  id: '0000:01:00.0',
  vendor: '0x10de',
  device: '0x1b80',
  vendor_name: 'NVIDIA',
  subsystem_vendor: '0x1043',
  subsystem_device: '0x85AA',
  iommugroup: 7,
};

it('a mapping is shown on each node, with what the node says of it', () => {
  const mapping: Mapping = {
    id: 'gpu',
    map: ['node=a,path=0000:01:00.0,id=10de:1b80', 'node=gone,path=0000:02:00,id=10de:1b80'],
  };
  const missing = { severity: 'warning' as const, message: 'No mapping for node b.' };
  const checked = new Map<string, Mapping[]>([
    ['a', [{ ...mapping, checks: [] }]],
    ['b', [{ ...mapping, errors: [missing] }]],
  ]);
  const places = placesOf(mapping, ['a', 'b', 'c'], checked);
  const told = places.map(
    ({ node, entries, faults, isChecked }) =>
      `${node} ${entries.length} ${faults.map((one) => one.message)} ${isChecked}`,
  );
  expect(told).toEqual([
    'a 1  true',
    'b 0 No mapping for node b. true',
    'c 0  false',
    'gone 1  false',
  ]);
});

it('an entry has what the device has, and no more', () => {
  const choice = pciChoice(GPU);
  const before = entryOf('node=a,path=0000:09:00.0,id=1:2,iommugroup=3,description=left slot');
  expect(textOfEntry(withChoice(before, choice))).toBe(
    'node=a,description=left slot,path=0000:01:00.0,id=10de:1b80,subsystem-id=1043:85aa,iommugroup=7',
  );
  const plainDevice = { ...GPU, iommugroup: -1, subsystem_vendor: '0x0000', subsystem_device: '' };
  expect(pciChoice(plainDevice).properties.map(([key]) => key)).toEqual(['path', 'id']);
});

it('the chosen device is found by its first address, a USB device by port or id', () => {
  const choices = [pciChoice(GPU)];
  const found = (text: string) => chosenOf('pci', entryOf(text), choices)?.key;
  expect(found('node=a,path=0000:01:00;0000:01:00.1,id=10de:1b80')).toBe('0000:01:00.0');
  expect(found('node=a,path=0000:01:00.1,id=10de:1b80')).toBeUndefined();
  expect(found('node=a')).toBeUndefined();
  const sticks = usbChoices([
    { busnum: 1, usbpath: '2.3', vendid: '1234', prodid: 'ABCD', class: 0 },
    { busnum: 1, usbpath: '4', vendid: '1234', prodid: 'abcd', class: 0 },
    { busnum: 1, usbpath: '2', vendid: '1d6b', prodid: '0002', class: 9 },
    { busnum: 1, vendid: '1d6b', prodid: '0002', class: 0 },
  ]);
  expect(sticks.map(({ key }) => key)).toEqual(['1-2.3', '1-4']);
  const stick = (text: string) => chosenOf('usb', entryOf(text), sticks)?.key;
  expect([stick('node=a,id=1234:abcd'), stick('node=a,id=1234:abcd,path=1-4')]).toEqual([
    '1-2.3',
    '1-4',
  ]);
});

it('an entry that lacks something is not sent', () => {
  expect(isWhole('usb', entryOf('node=a,id=1234:5678'))).toBe(true);
  expect(isWhole('pci', entryOf('node=a,id=1234:5678'))).toBe(false);
  expect(isWhole('dir', entryOf('path=/srv'))).toBe(false);
});

it('a guest of a node is offered what is mapped there', () => {
  const of = (id: string, ...map: string[]): Mapping => ({ id, map });
  const all = [of('gpu', 'node=a,path=1', 'node=b,path=2'), of('disc', 'path=3,node=b'), of('no')];
  expect(mappingsOn(all, 'b').map(({ id }) => id)).toEqual(['gpu', 'disc']);
  expect(mappingsOn(all, 'a').map(({ id }) => id)).toEqual(['gpu']);
});
