import { Select, Switch } from '@mantine/core';
import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { guestPath, offers } from '../actions/guest';
import { api } from '../api/client';
import { useOperations } from '../api/operations';
import type { Guest } from '../api/resources';
import { useInventory } from '../api/stream';
import { followTask } from '../api/tasks';
import { bytes, plain } from '../format';
import { Icon, type IconName } from '../parts/Icon';
import { Failed, Loading } from '../parts/Page';
import { t } from '../texts';
import { type DialogProps, FormDialog, useSubmit } from './Frame';

type Against = { unavailable_storages?: string[]; reasons?: string[] };

/** What virtual machines have with `_` containers have with `-`. */
export type Precheck = {
  running: number;
  /** The node has no precheck to ask. */
  isUnknown?: boolean;
  not_allowed_nodes?: Record<string, Against>;
  'not-allowed-nodes'?: Record<string, Against>;
  local_disks?: { volid: string; size?: number }[];
  local_resources?: string[];
};

type Finding = { tone: string; icon: IconName; text: string; isBlocker?: boolean };

const words = t.dialog.migrate;

export const precheckOf = (guest: Guest, target: string | null) =>
  queryOptions({
    queryKey: ['guest', guest.vmid, 'precheck', target],
    queryFn: () =>
      api.get<Precheck>(`${guestPath(guest)}/migrate`, { target: target ?? undefined }),
  });

/** The precheck, where the node has one for guests of this kind. */
function usePrecheck(guest: Guest, target: string | null) {
  const table = useOperations().data;
  const isThere = offers(table, guest, 'GET', '/migrate');
  const query = useQuery({
    ...precheckOf(guest, target),
    placeholderData: (before) => before,
    enabled: isThere,
  });
  if (isThere) return query;
  const unchecked: Precheck = { running: guest.status === 'stopped' ? 0 : 1, isUnknown: true };
  return { data: unchecked, error: null, refetch: query.refetch };
}

/** What the precheck says about one node: what forbids it, then what happens. */
export function findingsOf(
  check: Precheck,
  target: string | null,
  type: Guest['type'] = 'qemu',
): Finding[] {
  const findings: Finding[] = [];
  const against = check.not_allowed_nodes ?? check['not-allowed-nodes'];
  const blocked = target ? against?.[target] : undefined;
  const { local_disks: localDisks = [], local_resources: localResources = [] } = check;
  const stores = blocked?.unavailable_storages ?? [];
  if (stores.length > 0) {
    const text = `${words.storages} ${stores.join(', ')}`;
    findings.push({ tone: 'error', icon: 'x', text, isBlocker: true });
  }
  for (const text of blocked?.reasons ?? []) {
    findings.push({ tone: 'error', icon: 'x', text, isBlocker: true });
  }
  if (localResources.length > 0) {
    const text = `${words.localResources} ${localResources.join(', ')}`;
    findings.push({ tone: 'error', icon: 'x', text, isBlocker: true });
  }
  if (localDisks.length > 0) {
    const disks = localDisks.map((disk) => `${disk.volid} (${bytes(disk.size ?? 0)})`);
    findings.push({
      tone: 'warning',
      icon: 'warn',
      text: `${words.localDisks} ${disks.join(', ')}`,
    });
  }
  if (findings.length === 0 && !check.isUnknown) {
    findings.push({ tone: 'running', icon: 'check', text: words.fits });
  }
  findings.push({
    tone: 'stopped',
    icon: 'info',
    text: !check.running ? words.offline : type === 'lxc' ? words.restarts : words.online,
  });
  return findings;
}

export function Migrate({ guest, onClose }: DialogProps) {
  const client = useQueryClient();
  const { nodes } = useInventory();
  const others = nodes.filter((node) => node.node !== guest.node && node.status === 'online');
  const [target, setTarget] = useState<string | null>(others[0]?.node ?? null);
  const [withDisks, setWithDisks] = useState(true);
  const check = usePrecheck(guest, target);
  const form = useSubmit(onClose);
  const findings = check.data ? findingsOf(check.data, target, guest.type) : [];
  const hasDisks = (check.data?.local_disks?.length ?? 0) > 0;
  const isReady = target !== null && check.data !== undefined && !findings.some((f) => f.isBlocker);
  const submit = () =>
    form.submit(async () => {
      const isOnline = guest.status !== 'stopped';
      const upid = await api.post<string>(`${guestPath(guest)}/migrate`, {
        target: target ?? undefined,
        // A container cannot go on running: it is stopped here and started there.
        [guest.type === 'lxc' ? 'restart' : 'online']: isOnline ? 1 : undefined,
        'with-local-disks': isOnline && hasDisks && withDisks ? 1 : undefined,
      });
      followTask(client, `${t.act.migrate} ${guest.vmid} → ${target}`, upid);
    });
  return (
    <FormDialog
      title={words.title(guest.label)}
      submitText={words.submit}
      isReady={isReady}
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      <Select
        label={words.target}
        allowDeselect={false}
        data={others.map((node) => node.node)}
        value={target}
        error={form.fields.target}
        onChange={setTarget}
      />
      <div className="fx">
        <h3>{words.check}</h3>
        {check.error && !check.data ? (
          <Failed error={check.error} retry={() => void check.refetch()} />
        ) : !check.data ? (
          <Loading />
        ) : (
          <ul>
            {findings.map((finding) => (
              <li key={finding.text} className={`tone t-${finding.tone}`}>
                <Icon name={finding.icon} className="s" />
                <span>{plain(finding.text)}</span>
              </li>
            ))}
          </ul>
        )}
      </div>
      {hasDisks && guest.status !== 'stopped' && (
        <Switch
          label={words.withDisks}
          checked={withDisks}
          onChange={(event) => setWithDisks(event.target.checked)}
        />
      )}
    </FormDialog>
  );
}
