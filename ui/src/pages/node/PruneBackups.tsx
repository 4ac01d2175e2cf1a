import { TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, path } from '../../api/client';
import type { StorageRow } from '../../api/resources';
import { errorText, followTask } from '../../api/tasks';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { plain } from '../../format';
import { Button } from '../../parts/Button';
import { t } from '../../texts';

const words = t.storage;

type Marked = { volid: string; mark: 'keep' | 'remove' | 'protected' | 'renamed' };

/** Removes the backups that a rule does not keep, after showing which ones. */
export function PruneBackups({ row, onClose }: { row: StorageRow; onClose: () => void }) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const [rule, setRule] = useState('');
  // What is removed is what was shown: another rule has to be shown first.
  const [shown, setShown] = useState<string>();
  const address = `${path('nodes', row.node, 'storage', row.storage)}/prunebackups`;
  const params = (of: string) => (of === '' ? {} : { 'prune-backups': of });
  const marked = useQuery({
    queryKey: ['prunable', row.node, row.storage, shown],
    queryFn: () => api.get<Marked[]>(address, params(shown ?? '')),
    enabled: shown !== undefined,
    retry: false,
  });
  const surplus = marked.data?.filter((backup) => backup.mark === 'remove') ?? [];
  const submit = () =>
    form.submit(async () => {
      const upid = await api.delete<string>(address, params(rule));
      followTask(client, words.prune, upid);
    });
  return (
    <FormDialog
      title={words.pruneOf(row.storage)}
      submitText={words.prune}
      isDanger
      isReady={shown === rule && surplus.length > 0}
      form={form}
      onSubmit={submit}
      onClose={onClose}
      size="lg"
    >
      <TextInput
        label={words.rule}
        description={words.ruleHint}
        placeholder="keep-last=3,keep-daily=7"
        value={rule}
        error={marked.isError && shown === rule ? plain(errorText(marked.error)) : undefined}
        onChange={(event) => setRule(event.currentTarget.value.trim())}
      />
      <Button disabled={marked.isFetching} onClick={() => setShown(rule)}>
        {words.showPruned}
      </Button>
      {marked.data && shown === rule && (
        <>
          <p className="t2">{words.pruned(surplus.length, marked.data.length)}</p>
          <table className="tbl records">
            <tbody>
              {marked.data.map((backup) => (
                <tr key={backup.volid}>
                  <td className="mono trunc" title={backup.volid}>
                    {plain(backup.volid)}
                  </td>
                  <td className="t2">{words.marks[backup.mark]}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </FormDialog>
  );
}
