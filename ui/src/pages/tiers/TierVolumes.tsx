import { Select } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api } from '../../api/client';
import { hasOperation, useKnownOperations } from '../../api/operations';
import { useInventory } from '../../api/stream';
import { followTask } from '../../api/tasks';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { plain } from '../../format';
import { Button } from '../../parts/Button';
import { Loaded } from '../../parts/Page';
import { TablePanel } from '../../parts/TablePanel';
import { tiers as words } from '../../texts/tiers';
import { APPLY, applyPath, isChange, type Volumes, volumesPath } from './tier';

function Failed({ of }: { of: Volumes }) {
  return of.failed.map(({ storage, reason }) => (
    <p key={storage} className="pad tone t-warning">
      {words.failed(storage, plain(reason))}
    </p>
  ));
}

function Plan({ of }: { of: Volumes }) {
  const rows = of.volumes.flatMap(({ volid, differences }) =>
    differences.map((one) => ({ volid, ...one })),
  );
  if (rows.length === 0) return <p className="t2">{words.nothing}</p>;
  return (
    <table className="tbl records fit">
      <tbody>
        {rows.map(({ volid, property, from, to, verdict }) => (
          <tr key={`${volid} ${property}`}>
            <td className="mono">{plain(volid)}</td>
            <td className="mono t2">{property}</td>
            <td className="t2">
              {plain(from)} → {plain(to ?? words.inherited)}
            </td>
            <td className="t2">{words.verdicts[verdict] ?? verdict}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The plan first; then a task carries it out. */
function ApplyDialog({ node, onClose }: { node: string; onClose: () => void }) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const plan = useQuery({
    queryKey: ['node', node, 'tiers', 'plan'],
    queryFn: () => api.post<Volumes>(applyPath(node), {}),
    gcTime: 0,
    retry: false,
  });
  const canApply = plan.data?.volumes.some((one) => one.differences.some(isChange)) ?? false;
  const submit = () =>
    form.submit(async () => {
      const { upid } = await api.post<Volumes>(applyPath(node), { 'dry-run': 0 });
      followTask(client, words.applyTo(node), upid ?? null);
    });
  return (
    <FormDialog
      title={words.applyTo(node)}
      submitText={words.apply}
      isReady={canApply}
      form={form}
      onSubmit={submit}
      onClose={onClose}
      size="lg"
    >
      <Loaded query={plan}>
        {(answer) => (
          <>
            <Plan of={answer} />
            <Failed of={answer} />
          </>
        )}
      </Loaded>
    </FormDialog>
  );
}

/** The volumes of a node with their tiers, and what differs. */
export function TierVolumes() {
  const { nodes } = useInventory();
  const table = useKnownOperations();
  const online = nodes.filter((one) => one.status === 'online').map((one) => one.node);
  const [chosen, setChosen] = useState<string>();
  const [isOpen, setOpen] = useState(false);
  const node = chosen ?? online[0] ?? '';
  const query = useQuery({
    // What is of nodes is read again when a task has ended.
    queryKey: ['node', node, 'tiers'],
    queryFn: ({ signal }) => api.get<Volumes>(volumesPath(node), {}, signal),
    enabled: node !== '',
  });
  const aux = (
    <span className="group">
      <Select
        aria-label={words.volumes}
        allowDeselect={false}
        data={online}
        value={node || null}
        onChange={(next) => setChosen(next ?? undefined)}
      />
      {hasOperation(table, 'POST', APPLY) && (
        <Button kind="sm" disabled={node === ''} onClick={() => setOpen(true)}>
          {words.apply}…
        </Button>
      )}
    </span>
  );
  return (
    <>
      <Loaded query={query}>
        {(answer) => (
          <>
            <TablePanel
              title={`${words.volumes} ${node}`}
              aux={aux}
              head={[words.volume, words.tier, words.properties, words.differs]}
              none={words.noVolumes}
              rows={answer.volumes.map((one) => ({
                key: one.volid,
                cells: [
                  <span key="volid" className="mono">
                    {plain(one.volid)}
                  </span>,
                  plain(one.tier ?? ''),
                  Object.entries(one.properties)
                    .map((pair) => plain(pair.join('=')))
                    .join(' '),
                  one.differences.map(({ property }) => property).join(', ') ||
                    (one.tier ? words.asWanted : ''),
                ],
              }))}
            />
            <Failed of={answer} />
          </>
        )}
      </Loaded>
      {isOpen && <ApplyDialog node={node} onClose={() => setOpen(false)} />}
    </>
  );
}
