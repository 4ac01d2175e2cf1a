import { useQueryClient } from '@tanstack/react-query';
import { guestPath } from '../actions/guest';
import { api } from '../api/client';
import type { Guest } from '../api/resources';
import { followTask, startTask } from '../api/tasks';
import { t } from '../texts';
import { type DialogProps, FormDialog, useSubmit } from './Frame';

const words = t.dialog.stop;

/** Stop and reset lose what a guest has not written, so they ask once. */
export function Stop({
  kind,
  guests,
  onClose,
}: {
  kind: 'stop' | 'reset';
  guests: Guest[];
  onClose: () => void;
}) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const isStop = kind === 'stop';
  const name = guests.length === 1 ? (guests[0]?.label ?? '') : t.guests.selected(guests.length);
  const submit = () =>
    form.submit(async () => {
      for (const guest of guests) {
        void startTask(client, `${t.act[kind]} ${guest.vmid} ${guest.label}`, () =>
          api.post<string>(`${guestPath(guest)}/status/${kind}`),
        );
      }
    });
  return (
    <FormDialog
      title={isStop ? words.title(name) : words.resetTitle(name)}
      submitText={isStop ? words.submit : words.resetSubmit}
      isDanger
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      <p className="t2">{isStop ? words.text : words.resetText}</p>
    </FormDialog>
  );
}

export function Template({ guest, onClose }: DialogProps) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const submit = () =>
    form.submit(async () => {
      const upid = await api.post<string>(`${guestPath(guest)}/template`);
      followTask(client, `${t.act.template} ${guest.vmid} ${guest.label}`, upid);
    });
  return (
    <FormDialog
      title={t.dialog.template.title(guest.label)}
      submitText={t.dialog.template.submit}
      form={form}
      onSubmit={submit}
      onClose={onClose}
    >
      <p className="t2">{t.dialog.template.text}</p>
    </FormDialog>
  );
}
