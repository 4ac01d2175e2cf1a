import { Checkbox, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { guestPath } from '../actions/guest';
import { KINDS } from '../actions/kinds';
import { api } from '../api/client';
import type { Guest } from '../api/resources';
import { followTask } from '../api/tasks';
import { plain } from '../format';
import { configOf, propertiesOf, usePending } from '../pages/guest/config';
import { Icon } from '../parts/Icon';
import { t } from '../texts';
import { type DialogProps, FormDialog, useSubmit } from './Frame';

const words = t.dialog.destroy;
/** Volumes besides the disks. */
const OTHERS = /^(efidisk|tpmstate|unused)\d+$/;

/** The volumes that go with the guest. */
export function volumesOf(
  config: Map<string, string>,
  { type, vmid }: Pick<Guest, 'type' | 'vmid'>,
): string[] {
  const { disks, volume } = KINDS[type];
  const own = new RegExp(`\\b(vm|base|subvol|basevol)-${vmid}-`);
  return [...config]
    .filter(([key]) => disks.test(key) || OTHERS.test(key))
    .map(([, value]) => new Map(propertiesOf(value, volume)))
    .filter((properties) => own.test(properties.get(volume) ?? ''))
    .map((properties) => {
      const size = properties.get('size');
      return `${properties.get(volume)}${size ? ` (${size})` : ''}`;
    });
}

export function Destroy({ guest, onClose }: DialogProps) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const pending = usePending(guest);
  const [typed, setTyped] = useState('');
  const [purge, setPurge] = useState(true);
  const [unreferenced, setUnreferenced] = useState(false);
  const form = useSubmit(onClose, guest.vmid);
  const volumes = volumesOf(configOf(pending.data ?? [], 'now'), guest);
  const submit = () =>
    form.submit(async () => {
      const upid = await api.delete<string>(guestPath(guest), {
        purge: purge ? 1 : undefined,
        'destroy-unreferenced-disks': unreferenced ? 1 : 0,
      });
      // The end of the task has pages of the guest read again: none is open by then.
      onClose();
      if (location.pathname.startsWith(`/guest/${guest.vmid}`)) {
        await navigate({ href: '/datacenter/guests' });
      }
      followTask(client, `${t.act.destroy} ${guest.vmid} ${guest.label}`, upid);
    });
  return (
    <FormDialog
      title={words.title(guest.label)}
      submitText={words.submit}
      isDanger
      isReady={typed.trim() === String(guest.vmid)}
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      <div className="fx">
        <h3>{words.lost}</h3>
        <ul>
          {[...volumes, words.config].map((what) => (
            <li key={what} className="tone t-error">
              <Icon name="x" className="s" />
              <span>{plain(what)}</span>
            </li>
          ))}
        </ul>
      </div>
      <Checkbox
        label={words.purge}
        checked={purge}
        onChange={(event) => setPurge(event.target.checked)}
      />
      <Checkbox
        label={words.unreferenced}
        checked={unreferenced}
        onChange={(event) => setUnreferenced(event.target.checked)}
      />
      <TextInput
        data-autofocus
        label={words.type(guest.vmid)}
        autoComplete="off"
        value={typed}
        onChange={(event) => setTyped(event.target.value)}
      />
    </FormDialog>
  );
}
