import { Switch, Textarea, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { guestPath } from '../actions/guest';
import { api } from '../api/client';
import { followTask } from '../api/tasks';
import { t } from '../texts';
import { type DialogProps, FormDialog, useSubmit } from './Frame';

const NAME = /^[A-Za-z][A-Za-z0-9_-]{1,39}$/;

/** A name that sorts by time: `snap-2026-11-28-2304`. */
function nameOfNow(): string {
  const [day = '', time = ''] = new Date().toISOString().split('T');
  return `snap-${day}-${time.slice(0, 5).replace(':', '')}`;
}

export function TakeSnapshot({ guest, onClose }: DialogProps) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const [name, setName] = useState(nameOfNow);
  const [description, setDescription] = useState('');
  const [withRam, setWithRam] = useState(false);
  // Of a container only the disks are kept.
  const hasRam = guest.type === 'qemu' && guest.status !== 'stopped';
  const isNamed = NAME.test(name);
  const submit = () =>
    form.submit(async () => {
      const upid = await api.post<string>(`${guestPath(guest)}/snapshot`, {
        snapname: name,
        description: description || undefined,
        vmstate: hasRam && withRam ? 1 : undefined,
      });
      followTask(client, `${t.act.snapshot} ${name} of ${guest.vmid}`, upid);
    });
  return (
    <FormDialog
      title={t.dialog.snapshot.title(guest.label)}
      submitText={t.snap.take}
      isReady={isNamed}
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        data-autofocus
        label={t.snap.name}
        description={t.snap.nameHint}
        value={name}
        error={form.fields.snapname ?? (!isNamed && name !== '')}
        onChange={(event) => setName(event.target.value)}
      />
      <Textarea
        label={t.snap.description}
        autosize
        minRows={2}
        value={description}
        onChange={(event) => setDescription(event.target.value)}
      />
      {hasRam && (
        <Switch
          label={t.snap.withRam}
          description={t.snap.withRamHint}
          checked={withRam}
          onChange={(event) => setWithRam(event.target.checked)}
        />
      )}
    </FormDialog>
  );
}
