import { Select, Switch } from '@mantine/core';
import { useQueries, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { byNode, listOf } from '../actions/bulk';
import { api, path } from '../api/client';
import type { Guest } from '../api/resources';
import { useInventory } from '../api/stream';
import { errorText, followTask } from '../api/tasks';
import { plain } from '../format';
import { Icon } from '../parts/Icon';
import { t } from '../texts';
import { FormDialog, useSubmit } from './Frame';
import { findingsOf, type Precheck, precheckOf } from './Migrate';

const words = t.dialog.migrate;

/** Of a node: what two write, both send again. */
const AT_ONCE = 1;

type Checked = { data?: Precheck; error: unknown };

/** Why a guest does not move to a node; nothing if it does. */
function reasonToStay(guest: Guest, target: string, check: Checked): string | undefined {
  if (guest.node === target) return words.there;
  if (guest.type === 'lxc') return words.stays(words.noContainers);
  if (check.error) return words.stays(errorText(check.error));
  const findings = check.data ? findingsOf(check.data, target) : [];
  const against = findings.filter(({ isBlocker }) => isBlocker).map(({ text }) => text);
  return against.length > 0 ? words.stays(against.join('; ')) : undefined;
}

/** Several guests move to one node, each after its own precheck; those that cannot stay. */
export function MigrateAll({ guests, onClose }: { guests: Guest[]; onClose: () => void }) {
  const client = useQueryClient();
  const { nodes } = useInventory();
  const online = nodes.filter(({ status }) => status === 'online').map(({ node }) => node);
  const others = online.filter((node) => guests.some((guest) => guest.node !== node));
  const [target, setTarget] = useState(others[0] ?? '');
  const [withDisks, setWithDisks] = useState(true);
  const form = useSubmit(onClose);
  const checks = useQueries({
    queries: guests.map((guest) => ({
      ...precheckOf(guest, target),
      enabled: guest.type === 'qemu' && guest.node !== target,
    })),
  });
  const rows = guests.map((guest, at) => {
    const check: Checked = checks[at] ?? { error: null };
    const isChecking =
      guest.type === 'qemu' && guest.node !== target && !check.data && !check.error;
    const reason = reasonToStay(guest, target, check);
    const hasDisks = (check.data?.local_disks?.length ?? 0) > 0 && guest.status !== 'stopped';
    return { guest, reason, isChecking, hasDisks };
  });
  const isChecking = rows.some((row) => row.isChecking);
  const moving = rows.filter(({ reason }) => !reason).map(({ guest }) => guest);
  const hasDisks = rows.some((row) => row.hasDisks);
  const submit = () =>
    form.submit(async () => {
      for (const [node, own] of byNode(moving)) {
        const name = `${t.guests.onNode(t.act.migrate, own.length, node)} → ${target}`;
        const vmids = own.map(({ vmid }) => vmid);
        const params = {
          target,
          vms: listOf(own),
          'max-workers': AT_ONCE,
          'with-local-disks': hasDisks && withDisks ? true : undefined,
        };
        const upid = await api.post<string>(path('nodes', node, 'migrateall'), params);
        followTask(client, name, upid, { vmids });
      }
    });
  return (
    <FormDialog
      title={words.many(guests.length)}
      submitText={words.submit}
      isReady={!isChecking && moving.length > 0}
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      <Select
        label={words.target}
        allowDeselect={false}
        data={others}
        value={target}
        onChange={(node) => setTarget(node ?? target)}
      />
      <div className="fx">
        <h3>{words.check}</h3>
        <ul className="many">
          {rows.map(({ guest, reason, isChecking }) => {
            const tone = isChecking ? 'stopped' : reason ? 'warning' : 'running';
            return (
              <li key={guest.vmid} className={`tone t-${tone}`}>
                <Icon name={isChecking ? 'info' : reason ? 'warn' : 'check'} className="s" />
                <span>
                  <b>
                    {guest.vmid} {plain(guest.label)}
                  </b>{' '}
                  {plain(reason ?? (isChecking ? words.checking : words.moves))}
                </span>
              </li>
            );
          })}
        </ul>
        {!isChecking && moving.length === 0 && <p className="hint">{words.noneMoves}</p>}
      </div>
      {hasDisks && (
        <Switch
          label={words.withDisks}
          checked={withDisks}
          onChange={(event) => setWithDisks(event.target.checked)}
        />
      )}
    </FormDialog>
  );
}
