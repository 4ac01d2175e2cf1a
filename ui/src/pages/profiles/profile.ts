/** Profiles of virtual machines: what they mean, and the requests that change and use them. */

import { KINDS } from '../../actions/kinds';
import { type Params, path } from '../../api/client';
import type { Field } from '../../api/operations';
import { bytes } from '../../format';
import { t } from '../../texts';
import { profiles as words } from '../../texts/profiles';
import { parse, print } from '../hardware/propertyString';
import { fieldOf, propertiesOfField } from '../hardware/schema';
import { changeOf, type Values, valuesOf } from '../records/values';

export const PROFILES = '/ostler/cluster/profiles';
export const PROFILE = `${PROFILES}/{profile}`;
export const CREATE = '/ostler/nodes/{node}/profiles/{profile}/create';

export const profilePath = (id: string) => `${PROFILES}${path(id)}`;
export const createPath = (node: string, id: string) =>
  `/ostler${path('nodes', node, 'profiles', id, 'create')}`;

/** A profile as it is listed, with options of a virtual machine beside its own. */
export type Profile = {
  profile: string;
  comment?: string;
  /** The number of the template that is cloned. */
  from?: number | string;
  full?: number | boolean;
  storage?: string;
  /** `scsi0=40G,scsi1=10G` */
  'disk-size'?: string;
  digest?: string;
  sockets?: number | string;
  cores?: number | string;
  memory?: number | string;
};

const MIB = 2 ** 20;

/** Processors in all, as far as the profile says; the rest is the template's. */
export function cpusOf({ from, sockets, cores }: Profile): string {
  const isWhole = from === undefined || (sockets !== undefined && cores !== undefined);
  if (isWhole) return String(Number(sockets ?? 1) * Number(cores ?? 1));
  if (cores !== undefined) return words.cores(Number(cores));
  return sockets === undefined ? words.ofTemplate : words.sockets(Number(sockets));
}

/** MiB: the one property may have its name. */
const mibOf = (memory: Profile['memory']) => String(memory ?? '').replace(/^current=/, '');

export function memoryOf({ from, memory }: Profile): string {
  if (memory !== undefined) return bytes(Number(mibOf(memory)) * MIB);
  return from === undefined ? words.unset : words.ofTemplate;
}

/** Disks and their sizes, in the order in which they are named. */
export function sizesOf(list: string | undefined): [string, string][] {
  const entries = (list ?? '').split(/[,; ]+/).filter(Boolean);
  return entries.map((entry): [string, string] => {
    const [slot = '', size = ''] = entry.split('=');
    return [slot, size];
  });
}

/** Disks with the sizes that they get, or as they are made where there is no template. */
export function disksOf(profile: Profile): string {
  const { from, 'disk-size': list } = profile;
  const made = Object.entries(profile)
    .filter(([key]) => KINDS.qemu.disks.test(key))
    .map(([key, value]) => [key, String(value).split(',')[0]]);
  const disks = from === undefined ? made : sizesOf(list);
  if (disks.length > 0) return disks.map((entry) => entry.join(' ')).join(', ');
  return from === undefined ? t.none : words.ofTemplate;
}

const SIZE = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i;

/** A size as the node takes it: a number alone is GiB. Nothing if it is no size. */
export function sizeText(text: string): string | undefined {
  const [, number, unit] = SIZE.exec(text.trim()) ?? [];
  return number === undefined ? undefined : `${number}${(unit || 'G').toUpperCase()}`;
}

/** The disk that a virtual machine starts from, or else its first one. */
export function firstDiskOf(config: Record<string, unknown>): string | undefined {
  const isDisk = (key: string) =>
    key in config && KINDS.qemu.disks.test(key) && !String(config[key]).includes('media=cdrom');
  const [, order = ''] = /(?:^|,)order=([^,]*)/.exec(String(config.boot ?? '')) ?? [];
  const keys = Object.keys(config).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return [...order.split(';'), ...keys].find(isDisk);
}

/** The disk that a profile without a template has first. */
export const DISK = 'scsi0';

/** What the form holds. */
export const NAMES = [
  'comment',
  'from',
  'full',
  'storage',
  'disk-size',
  DISK,
  'sockets',
  'cores',
  'memory',
  'balloon',
  'cpu',
  'scsihw',
  'net0',
  'ciuser',
  'sshkeys',
  'ipconfig0',
] as const;

/** Keys are kept as in an address, and shown as they are. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The values of a form; empty where the profile has none. */
export function formOf(profile: Profile | undefined): Values {
  const values = valuesOf(profile, [...NAMES]);
  return {
    ...values,
    // Disks that go to a storage are copies, if nothing else is said.
    full: values.full || (values.from && values.storage ? '1' : ''),
    memory: mibOf(values.memory),
    sshkeys: decoded(values.sshkeys ?? ''),
  };
}

/** A field with one property alone is that property. */
export function single(field: Field): Field {
  const [only, ...others] = propertiesOfField(field) ?? [];
  if (!only || others.length > 0) return field;
  return { ...only, name: field.name, optional: field.optional };
}

/** The fields of the form in its parts, as far as the node has them; some make sense beside a template alone. */
export function partsOf(known: Map<string, Field>, { from, full }: Values) {
  const named = (names: string[]) =>
    names.flatMap((name) => {
      const field = fieldOf(known, name);
      if (!field) return [];
      const one = single({ ...field, name });
      // With a template its own value is the default.
      return from ? { ...one, default: undefined } : one;
    });
  const ofTemplate = full === '1' ? ['full', 'storage'] : ['full'];
  return {
    head: named(['profile', 'comment']).filter((field) => field.in !== 'path'),
    source: named(from ? ofTemplate : [DISK]),
    compute: named(['sockets', 'cores', 'memory', 'balloon', 'cpu', 'scsihw']),
    cloud: named(['ciuser', 'sshkeys', 'ipconfig0']),
  };
}

/** A network card without a bridge is none; one that says no model gets the usual one. */
export function netOf(field: Field, text: string): string {
  const values = parse(field, text);
  if (!values.get('bridge')) return '';
  return print(field, values.has('model') ? values : new Map([['model', 'virtio'], ...values]));
}

/** The size of a disk, in place of the one that the form had before. */
export type DiskSize = { slot: string; size: string };

/** The list of sizes with another one of the form's disk; the others stay. */
export function sizesWith(list: string, before: string | undefined, disk: DiskSize): string {
  const others = sizesOf(list).filter(([slot]) => slot !== before && slot !== disk.slot);
  const own: [string, string][] = disk.size ? [[disk.slot, disk.size]] : [];
  return [...own, ...others].map((entry) => entry.join('=')).join(',');
}

/** What makes sense with a template alone; without one a disk is made. */
const OF_TEMPLATE = ['full', 'storage', 'disk-size'];

/** The parameters that make a profile, or change one. */
export function paramsOf(values: Values, profile: Profile | undefined): Params {
  const before = formOf(profile);
  const form = { ...values };
  for (const name of values.from ? [DISK] : OF_TEMPLATE) form[name] = '';
  // A linked clone is where its template is.
  if (values.full !== '1') form.storage = '';
  const params = changeOf(form, before, profile?.digest);
  const keys = form.sshkeys?.trim();
  return keys ? { ...params, sshkeys: encodeURIComponent(keys) } : params;
}

/** What a virtual machine may have otherwise than its profile. */
const CREATE_NAMES = [
  'vmid',
  'name',
  'count',
  'pool',
  'start',
  'cores',
  'memory',
  'ipconfig0',
] as const;

/** The fields of a request: several get free numbers. */
export const createNames = ({ count }: Values): string[] =>
  CREATE_NAMES.filter((name) => name !== 'vmid' || Number(count || 1) === 1);

/** The parameters that make virtual machines: what is empty is as the profile, or the node, has it. */
export const createParams = (values: Values): Params =>
  Object.fromEntries(createNames(values).map((name) => [name, values[name]?.trim() || undefined]));

export type Made = { vmid: number; name?: string; upid?: string };
