/** The health of the datacenter as a list of checks: worst first, each with its reason. */

import type { Inventory } from '../../api/resources';
import { percent } from '../../format';
import type { IconName } from '../../parts/Icon';
import { t } from '../../texts';

/** A finding of `/ostler/doctor`. */
export type Finding = {
  node: string;
  check: string;
  level: 'ok' | 'warning' | 'error';
  found: string;
  means?: string;
  advice?: string;
};

export type Check = {
  key: string;
  tone: 'running' | 'warning' | 'error' | 'unknown';
  name: string;
  text: string;
  hint?: string;
  /** What was found where. */
  detail?: string;
  link?: string;
};

export const CHECK_ICONS: Record<Check['tone'], IconName> = {
  running: 'ok',
  warning: 'warn',
  error: 'err',
  unknown: 'unknown',
};

const FULL = 0.9;
const RANKS: Check['tone'][] = ['error', 'unknown', 'warning', 'running'];

function ownChecks({ nodes, guests, storages }: Inventory): Check[] {
  const silent = nodes.filter((node) => node.status !== 'online');
  const unknown = guests.filter((guest) => guest.state === 'unknown').length;
  const real = guests.filter((guest) => !guest.template);
  const running = real.filter((guest) => guest.status === 'running').length;
  const full = storages.filter((one) => one.maxdisk && (one.disk ?? 0) / one.maxdisk >= FULL);
  return [
    {
      key: 'nodes',
      name: t.dc.nodes,
      tone: silent.length > 0 ? 'error' : 'running',
      text:
        silent.length > 0
          ? t.dc.silent(silent.map((node) => node.node).join(', '))
          : t.dc.allOnline(nodes.length),
      link: '/datacenter/nodes',
    },
    {
      key: 'guests',
      name: t.dc.guestsCheck,
      tone: unknown > 0 ? 'unknown' : 'running',
      text: unknown > 0 ? t.dc.unknownGuests(unknown) : t.dc.guestsOk(running, real.length),
      link: unknown > 0 ? '/datacenter/guests?state=unknown' : '/datacenter/guests',
    },
    {
      key: 'storage',
      name: t.tree.storage,
      tone: full.length > 0 ? 'warning' : 'running',
      text:
        full
          .map((one) =>
            t.dc.storageFull(one.storage, percent((one.disk ?? 0) / (one.maxdisk ?? 1))),
          )
          .join(', ') || t.dc.storageOk,
      link: '/datacenter/storage',
    },
  ];
}

const groupsOf = <T>(all: T[], keyOf: (one: T) => string): T[][] => {
  const groups = new Map<string, T[]>();
  for (const one of all) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one]);
  return [...groups.values()];
};

/** What several nodes have in common is one line; a finding without a meaning is its own. */
const meaningOf = ({ level, means, found, advice }: Finding) =>
  JSON.stringify([level, means ?? found, advice]);

function checkOf(same: Finding[], isCluster: boolean): Check | undefined {
  const [first] = same;
  if (!first) return undefined;
  const isOk = first.level === 'ok';
  const where = isCluster && !isOk ? `${same.map(({ node }) => node).join(', ')}: ` : '';
  const found = same.length === 1 ? first.found : undefined;
  return {
    key: `${first.check}/${first.node}/${meaningOf(first)}`,
    name: t.check[first.check] ?? first.check,
    tone: isOk ? 'running' : first.level === 'error' ? 'error' : 'warning',
    text:
      where + [found, first.means ?? (found ? undefined : first.found)].filter(Boolean).join(', '),
    hint: first.advice,
    detail: same.map((one) => `${one.node}: ${one.found}`).join('\n'),
  };
}

/** Findings of one kind on all nodes: all that are bad, or one that stands for them. */
function doctorChecks(findings: Finding[], isCluster: boolean): Check[] {
  // A node of its own has no majority to have or to lose.
  const told = findings.filter(({ check }) => isCluster || check !== 'quorum');
  return groupsOf(told, ({ check }) => check).flatMap((all) => {
    const bad = all.filter(({ level }) => level !== 'ok');
    const shown = bad.length > 0 ? groupsOf(bad, meaningOf) : [all.slice(0, 1)];
    return shown.flatMap((same) => checkOf(same, isCluster) ?? []);
  });
}

export function checksOf(inventory: Inventory, findings: Finding[]): Check[] {
  const isCluster = inventory.nodes.length > 1;
  return [...ownChecks(inventory), ...doctorChecks(findings, isCluster)].sort(
    (a, b) => RANKS.indexOf(a.tone) - RANKS.indexOf(b.tone),
  );
}

/** What people ask for first, and what was found; all else is well. */
const FIRST = ['nodes', 'guests', 'storage'];

export function shownFirst(checks: Check[]): { first: Check[]; well: Check[] } {
  const isFirst = ({ key, tone }: Check) => tone !== 'running' || FIRST.includes(key);
  return { first: checks.filter(isFirst), well: checks.filter((check) => !isFirst(check)) };
}
