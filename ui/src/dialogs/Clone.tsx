import { NumberInput, Select, Switch, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { guestPath } from '../actions/guest';
import { KINDS } from '../actions/kinds';
import { api } from '../api/client';
import { useInventory } from '../api/stream';
import { followTask } from '../api/tasks';
import { guestAddress } from '../shell/treeRows';
import { t } from '../texts';
import { type DialogProps, FormDialog, useSubmit } from './Frame';

const words = t.dialog.clone;

export function useNextId() {
  return useQuery({
    queryKey: ['nextid'],
    queryFn: () => api.get<string>('/cluster/nextid'),
    staleTime: 0,
  });
}

export function Clone({ guest, onClose }: DialogProps) {
  const client = useQueryClient();
  const inventory = useInventory();
  const next = useNextId();
  const kind = KINDS[guest.type];
  const form = useSubmit(onClose);
  const isTemplate = Boolean(guest.template);
  const [id, setId] = useState<number>();
  const [name, setName] = useState(guest.name ? `${guest.name}-clone` : '');
  const [full, setFull] = useState(!isTemplate);
  const [storage, setStorage] = useState<string | null>(null);
  const [target, setTarget] = useState<string | null>(guest.node);
  const newid = id ?? Number(next.data ?? 0);
  const stores = inventory.storages
    .filter((one) => one.node === guest.node && one.content.split(',').includes(kind.content))
    .map((one) => one.storage);
  const submit = () =>
    form.submit(async () => {
      const upid = await api.post<string>(`${guestPath(guest)}/clone`, {
        newid,
        [kind.name]: name || undefined,
        full: isTemplate ? full : undefined,
        storage: full ? (storage ?? undefined) : undefined,
        target: target && target !== guest.node ? target : undefined,
        pool: guest.pool,
      });
      const task = `${t.act.clone} ${guest.vmid} → ${newid}`;
      followTask(client, task, upid, { made: guestAddress({ vmid: newid }) });
    });
  return (
    <FormDialog
      title={words.title(guest.label)}
      submitText={words.submit}
      isReady={newid >= 100}
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      <div className="f2">
        <NumberInput
          label={words.newid}
          value={newid || ''}
          min={100}
          max={999999999}
          hideControls
          error={form.fields.newid}
          onChange={(value) => setId(Number(value))}
        />
        <TextInput
          className="grow"
          label={words.name}
          data-autofocus
          value={name}
          error={form.fields[kind.name]}
          onChange={(event) => setName(event.target.value)}
        />
      </div>
      {isTemplate && (
        <Switch
          label={words.full}
          description={words.fullHint}
          checked={full}
          onChange={(event) => setFull(event.target.checked)}
        />
      )}
      <div className="f2">
        {full && (
          <Select
            className="grow"
            label={words.storage}
            placeholder={words.same}
            clearable
            data={stores}
            value={storage}
            error={form.fields.storage}
            onChange={setStorage}
          />
        )}
        {inventory.nodes.length > 1 && (
          <Select
            className="grow"
            label={words.target}
            allowDeselect={false}
            data={inventory.nodes.map((node) => node.node)}
            value={target}
            error={form.fields.target}
            onChange={setTarget}
          />
        )}
      </div>
    </FormDialog>
  );
}
