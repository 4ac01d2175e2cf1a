/** Tiers: what they mean, and the requests that change and apply them. */

import { type Params, path } from '../../api/client';
import { changeOf, type Values, valuesOf } from '../records/values';

export const TIERS = '/ostler/cluster/tiers';
export const TIER = `${TIERS}/{tier}`;
export const VOLUMES = '/ostler/nodes/{node}/tiers';
export const APPLY = `${VOLUMES}/apply`;

export const tierPath = (id: string) => `${TIERS}${path(id)}`;
export const volumesPath = (node: string) => `/ostler${path('nodes', node, 'tiers')}`;
export const applyPath = (node: string) => `${volumesPath(node)}/apply`;

export type Tier = Record<string, string | number | undefined> & { tier: string };

export type Difference = { property: string; from: string; to?: string; verdict: string };

export type Volume = {
  volid: string;
  vmid: number;
  tier?: string;
  properties: Record<string, string>;
  differences: Difference[];
};

export type Volumes = {
  volumes: Volume[];
  failed: { storage: string; reason: string }[];
  upid?: string;
};

/** What a tier has besides properties of volumes. */
const OWN = ['tier', 'comment', 'tags', 'pools', 'priority', 'digest'];

const pairs = (values: Record<string, unknown>) =>
  Object.entries(values).map(([name, value]) => `${name}=${value}`);

/** The properties of its volumes. */
export const propertiesOf = (tier: Tier): string =>
  pairs(Object.fromEntries(Object.entries(tier).filter(([name]) => !OWN.includes(name)))).join(' ');

/** The guests that a tier is about. */
export const guestsOf = ({ tags, pools }: Tier): string =>
  [tags, pools]
    .filter(Boolean)
    .flatMap((list) => String(list).split(/[,; ]+/))
    .join(', ');

/** Whether applying tiers would do something. */
export const isChange = ({ verdict }: Difference) => verdict === 'set' || verdict === 'inherit';

/** The parameters that make a tier, or change one. */
export function paramsOf(values: Values, tier: Tier | undefined, names: string[]): Params {
  return changeOf(values, valuesOf(tier, names), tier?.digest as string | undefined);
}
