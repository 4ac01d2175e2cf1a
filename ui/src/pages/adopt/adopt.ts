/** What a node takes over of a Proxmox VE: its plan, which of the guests, and the request. */

import { type Params, path } from '../../api/client';
import type { Values } from '../records/values';

export const ADOPT = '/ostler/nodes/{node}/adopt';

export const adoptPath = (node: string) => `/ostler${path('nodes', node, 'adopt')}`;

/** The parameters that are filled in; guests are chosen in the plan. */
export const FIELDS = ['source', 'source-node', 'storages', 'storage-map', 'drop'];

type Verdict = {
  action: 'adopt' | 'present' | 'leave';
  reasons: string[];
  warnings: string[];
};

export type AdoptStorage = Verdict & {
  /** Its id there; `storage` is the one here. */
  source: string;
  storage?: string;
  type: string;
};

export type AdoptGuest = Verdict & {
  vmid: number;
  type: 'qemu' | 'lxc';
  name?: string;
  pool?: string;
  template: boolean | number;
  volumes: number;
  snapshots: number;
};

export type Plan = {
  'source-node'?: string;
  storages: AdoptStorage[];
  guests: AdoptGuest[];
  left: { path: string; reason: string }[];
  digest: string;
  upid?: string;
};

/** What was asked for, and the plan that was answered. */
export type Asked = {
  values: Values;
  /** The guests that are meant; none: all that there are. */
  vmids?: number[];
  plan: Plan;
};

const countOf = (rows: Verdict[]) => rows.filter(({ action }) => action === 'adopt').length;

/** How many storages and guests a plan takes over. */
export const countsOf = ({ storages, guests }: Plan): [number, number] => [
  countOf(storages),
  countOf(guests),
];

/** The guests that a plan takes over, in the order of their numbers. */
export const adopted = ({ guests }: Plan): number[] =>
  guests
    .filter(({ action }) => action === 'adopt')
    .map(({ vmid }) => vmid)
    .sort((a, b) => a - b);

/** The parameters of a request; guests that are all meant are not named. */
export function paramsOf(values: Values, vmids: number[] | undefined): Params {
  const own = FIELDS.map((name) => [name, values[name]?.trim() || undefined]);
  return { ...Object.fromEntries(own), vmids: vmids?.join(',') };
}

/** The request that carries a plan out. */
export const confirmOf = ({ values, vmids, plan }: Asked): Params => ({
  ...paramsOf(values, vmids),
  'dry-run': false,
  confirm: plan.digest,
});

/** The guests to name: none if they are all that the plan of all takes over. */
export function vmidsOf(all: Plan, chosen: ReadonlySet<number>): number[] | undefined {
  const able = adopted(all);
  const some = able.filter((vmid) => chosen.has(vmid));
  return some.length === able.length ? undefined : some;
}

/** What comes next: a plan of what is asked for now, or its take-over. */
export type Step = 'source' | 'choice' | 'nothing' | 'take';

export function stepOf(
  all: Asked,
  asked: Asked | undefined,
  values: Values,
  chosen: ReadonlySet<number>,
): Step {
  const isSame = (a: Values, b: Values) =>
    FIELDS.every((name) => (a[name] ?? '') === (b[name] ?? ''));
  if (!asked || !isSame(values, all.values)) return 'source';
  if (asked.vmids?.join() !== vmidsOf(all.plan, chosen)?.join()) return 'choice';
  return countsOf(asked.plan).some((count) => count > 0) ? 'take' : 'nothing';
}

/** The guests of the plan of all, as a plan of some has those that are in it. */
export function guestsShown(all: Plan, plan: Plan): AdoptGuest[] {
  const some = new Map(plan.guests.map((guest) => [guest.vmid, guest]));
  return all.guests.map((guest) => some.get(guest.vmid) ?? guest);
}

/** Only root@pam may do it. */
export const mayAdopt = (user: string | undefined) => user === 'root@pam';
