import { TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { byNode } from '../../actions/bulk';
import { ApiError, api } from '../../api/client';
import { errorText, followTask } from '../../api/tasks';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { dateTime, plain } from '../../format';
import { Icon } from '../../parts/Icon';
import { Loaded } from '../../parts/Page';
import { t } from '../../texts';
import {
  countOf,
  keyOf,
  listOf,
  type Part,
  type Plan,
  planOf,
  prunePath,
  type Snapshot,
  sendAll,
} from './report';

const words = t.snapshotReport.dialog;

/** What a node would remove; it refuses the whole list if it refuses one. */
const plan = ({ node, snapshots }: Part) =>
  api.post<Snapshot[]>(prunePath(node), { snapshots: listOf(snapshots), 'dry-run': true });

const remove = ({ node, snapshots }: Part) =>
  api.post<{ upid?: string }[]>(prunePath(node), {
    snapshots: listOf(snapshots),
    'dry-run': false,
    confirm: snapshots.length,
  });

function Named({ snapshots }: { snapshots: Snapshot[] }) {
  return snapshots.map((one) => (
    <li key={keyOf(one)}>
      <span>
        <span className="mono">{one.vmid}</span> {plain(one.guest ?? '')} <b>{plain(one.name)}</b>{' '}
        {dateTime(one.snaptime)}
      </span>
    </li>
  ));
}

function Planned({ plan: { goes, refused } }: { plan: Plan }) {
  const nodes = byNode(goes.flatMap((part) => part.snapshots));
  return (
    <>
      {[...nodes].map(([node, snapshots]) => (
        <div className="fx" key={node}>
          <h3>{words.goes(snapshots.length, plain(node))}</h3>
          <ul className="many">
            <Named snapshots={snapshots} />
          </ul>
        </div>
      ))}
      {refused.length > 0 && (
        <div className="fx">
          <h3>{words.refused}</h3>
          <ul className="many">
            {refused.map(({ snapshots, reason }) => (
              <li key={snapshots.map(keyOf)[0]} className="tone t-warning">
                <Icon name="warn" className="s" />
                <span>
                  <b>{plain(snapshots.map(keyOf).join(', '))}</b> {plain(reason)}
                </span>
              </li>
            ))}
          </ul>
          <p className="hint">{words.refusedHint}</p>
        </div>
      )}
      <p className="hint">{goes.length === 0 ? words.noneGoes : words.lost}</p>
    </>
  );
}

/** Removes snapshots for good: what each node would do is shown first, and its number asked for. */
export function PruneDialog({
  chosen,
  onDone,
  onClose,
}: {
  chosen: Snapshot[];
  onDone: () => void;
  onClose: () => void;
}) {
  const client = useQueryClient();
  const form = useSubmit(onDone);
  const [asked, setAsked] = useState({ snapshots: chosen, attempt: 0 });
  const [typed, setTyped] = useState('');
  const query = useQuery({
    queryKey: ['prune', asked.attempt, listOf(asked.snapshots)],
    queryFn: ({ signal }) =>
      planOf(asked.snapshots, (part) => {
        signal.throwIfAborted();
        return plan(part);
      }),
    // A plan is of its moment, and must not change below its confirmation; nor be asked for once sent.
    enabled: !form.isBusy,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: false,
  });
  const goes = query.data?.goes ?? [];
  const count = countOf(goes);
  const send = async (part: Part) => {
    const rows = await remove(part);
    const vmids = [...new Set(part.snapshots.map(({ vmid }) => vmid))];
    const name = words.task(part.snapshots.length, part.node);
    followTask(client, name, rows[0]?.upid ?? null, { vmids });
  };
  const submit = () =>
    form.submit(async () => {
      const { left, failures } = await sendAll(goes, send);
      if (failures.length === 0) return;
      setTyped('');
      setAsked(({ attempt }) => ({ snapshots: left, attempt: attempt + 1 }));
      const whys = failures.map(([node, error]) => words.failed(node, errorText(error)));
      throw new ApiError(0, `${whys.join('; ')}. ${words.again}`);
    });
  return (
    <FormDialog
      title={words.title(asked.snapshots.length)}
      submitText={t.snapshotReport.remove}
      isDanger
      isReady={count > 0 && typed.trim() === String(count)}
      form={form}
      onSubmit={submit}
      onClose={onClose}
      size="lg"
    >
      {query.isLoading && <p className="hint">{words.asking}</p>}
      <Loaded query={query}>{(ready) => <Planned plan={ready} />}</Loaded>
      {count > 0 && (
        <TextInput
          label={words.type(count)}
          inputMode="numeric"
          autoComplete="off"
          value={typed}
          error={form.fields.confirm}
          onChange={(event) => setTyped(event.target.value)}
        />
      )}
    </FormDialog>
  );
}
