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

/** Findings of one kind on all nodes: all that are bad, or one that stands for them. */
function doctorChecks(findings: Finding[], isCluster: boolean): Check[] {
  const kinds = new Map<string, Finding[]>();
  for (const finding of findings) {
    kinds.set(finding.check, [...(kinds.get(finding.check) ?? []), finding]);
  }
  const checks: Check[] = [];
  for (const [kind, all] of kinds) {
    // A node of its own has no majority to have or to lose.
    if (kind === 'quorum' && !isCluster) continue;
    const bad = all.filter((finding) => finding.level !== 'ok');
    for (const finding of bad.length > 0 ? bad : all.slice(0, 1)) {
      const where = isCluster && bad.length > 0 ? `${finding.node}: ` : '';
      checks.push({
        key: `${kind}/${finding.node}/${finding.found}`,
        name: t.check[kind] ?? kind,
        tone: finding.level === 'ok' ? 'running' : finding.level,
        text: where + [finding.found, finding.means].filter(Boolean).join(', '),
        hint: finding.advice,
      });
    }
  }
  return checks;
}

export function checksOf(inventory: Inventory, findings: Finding[]): Check[] {
  const isCluster = inventory.nodes.length > 1;
  return [...ownChecks(inventory), ...doctorChecks(findings, isCluster)].sort(
    (a, b) => RANKS.indexOf(a.tone) - RANKS.indexOf(b.tone),
  );
}
