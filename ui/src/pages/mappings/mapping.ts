/** Mappings: what they are on each node, and what can be chosen there. */

import { propertiesOf } from '../guest/config';
import { print } from '../hardware/propertyString';

export const KINDS = ['pci', 'usb', 'dir'] as const;
export type Kind = (typeof KINDS)[number];

export type Fault = { severity: 'warning' | 'error'; message: string };

export type Mapping = {
  id: string;
  map: string[];
  description?: string;
  digest?: string;
  mdev?: number | boolean;
  'live-migration-capable'?: number | boolean;
  /** Of PCI devices and folders, where a node was asked. */
  checks?: Fault[];
  /** Of USB devices. */
  errors?: Fault[];
};

/** What a mapping is on one node: `node`, `path`, `id`, …. */
export type Entry = Map<string, string>;

export const entryOf = (text: string): Entry => new Map(propertiesOf(text));
export const textOfEntry = (entry: Entry) => print({ name: 'map' }, entry);

/** Keys without which an entry says nothing. */
const NEEDED: Record<Kind, string[]> = {
  pci: ['node', 'path', 'id'],
  usb: ['node', 'id'],
  dir: ['node', 'path'],
};

export const isWhole = (kind: Kind, entry: Entry) => NEEDED[kind].every((key) => entry.get(key));

/** Those of mappings that have an entry for a node. */
export const mappingsOn = (mappings: Mapping[], node: string) =>
  mappings.filter(({ map }) => map.some((text) => entryOf(text).get('node') === node));

/** What is so on one node. */
export type Place = {
  node: string;
  entries: Entry[];
  faults: Fault[];
  /** Whether the node has looked. */
  isChecked: boolean;
};

/** A mapping on the nodes of the cluster, and on those that it names beside them. */
export function placesOf(
  mapping: Mapping,
  nodes: string[],
  /** What each node answered, if it did. */
  checked: Map<string, Mapping[]>,
): Place[] {
  const entries = mapping.map.map(entryOf);
  const named = entries.map((entry) => entry.get('node') ?? '');
  return [...new Set([...nodes, ...named])].map((node) => {
    const row = checked.get(node)?.find((one) => one.id === mapping.id);
    return {
      node,
      entries: entries.filter((entry) => entry.get('node') === node),
      faults: row?.checks ?? row?.errors ?? [],
      isChecked: row !== undefined,
    };
  });
}

export type PciDevice = {
  id: string;
  vendor: string;
  device: string;
  vendor_name?: string;
  device_name?: string;
  subsystem_vendor?: string;
  subsystem_device?: string;
  iommugroup: number;
  mdev?: number | boolean;
};

export type UsbDevice = {
  busnum: number;
  usbpath?: string;
  vendid: string;
  prodid: string;
  manufacturer?: string;
  product?: string;
  class: number;
};

/** A device that can be chosen, and what an entry says of it. */
export type Choice = {
  key: string;
  id: string;
  about: string;
  properties: [string, string][];
  mdev?: number | boolean;
};

const HUB = 9;
const bare = (hex: string) => hex.replace(/^0x/, '').toLowerCase();
const words = (...parts: (string | undefined)[]) => parts.filter(Boolean).join(' ');

/** The check of a node wants each property that the device has, and no other. */
export function pciChoice(device: PciDevice): Choice {
  const { subsystem_vendor: vendor = '', subsystem_device: model = '', iommugroup } = device;
  const id = `${bare(device.vendor)}:${bare(device.device)}`;
  const properties: [string, string][] = [
    ['path', device.id],
    ['id', id],
  ];
  if (Number(vendor) || Number(model)) {
    properties.push(['subsystem-id', `${bare(vendor)}:${bare(model)}`]);
  }
  if (iommugroup >= 0) properties.push(['iommugroup', String(iommugroup)]);
  const about = words(device.vendor_name, device.device_name);
  return { key: device.id, id, about, properties, mdev: device.mdev };
}

/** What is plugged in somewhere; ports of hubs are not given away. */
export function usbChoices(devices: UsbDevice[]): Choice[] {
  return devices
    .filter((device) => device.usbpath && device.class !== HUB)
    .map((device) => {
      const id = `${bare(device.vendid)}:${bare(device.prodid)}`;
      return {
        key: `${device.busnum}-${device.usbpath}`,
        id,
        about: words(device.manufacturer, device.product),
        // Found wherever it is plugged in, unless a port is said.
        properties: [['id', id]],
      };
    });
}

/** The device that an entry means, of those that are there. */
export function chosenOf(kind: Kind, entry: Entry, choices: Choice[]): Choice | undefined {
  const [first = ''] = (entry.get('path') ?? '').split(';');
  if (kind === 'usb' && !first) return choices.find(({ id }) => id === entry.get('id'));
  const address = kind === 'pci' && first && !first.includes('.') ? `${first}.0` : first;
  return choices.find(({ key }) => key === address);
}

/** An entry of another device: what was said of the one before goes. */
export function withChoice(entry: Entry, choice: Choice): Entry {
  const next: Entry = new Map();
  for (const key of ['node', 'description']) {
    const value = entry.get(key);
    if (value) next.set(key, value);
  }
  for (const [key, value] of choice.properties) next.set(key, value);
  return next;
}

/** On another node it is another device. */
export const onNode = (node: string): Entry => new Map([['node', node]]);
