import { type ReactNode, useState } from 'react';
import { nodeAdmissionPath, type Room, useNodeAdmission } from '../../api/admission';
import { bytes, percent } from '../../format';
import { Bar } from '../../parts/Bar';
import { Facts, Panel } from '../../parts/Panel';
import { t } from '../../texts';
import { OperationDialog } from '../records/OperationDialog';

const FIELDS = ['memory-ratio', 'memory-reserve', 'cpu-ratio', 'cpu-reserve', 'mode'];

const words = t.admission;

function Promised({
  room,
  show,
  label,
}: {
  room: Room;
  show: (n: number) => string;
  label: string;
}) {
  const most = room.limit ?? room.total - room.reserve;
  return (
    <>
      <Bar part={most > 0 ? room.committed / most : 0} label={label} />
      <span>{words.promised(show(room.committed), show(most))}</span>{' '}
      <span className="muted">{percent(room.ratio)}</span>
    </>
  );
}

/** The policy that holds for one resource. */
function policyOf(room: Room, show: (n: number) => string): string {
  if (room.limit === undefined) return words.unlimited;
  const ratio = words.ratio(room['policy-ratio'] ?? 1);
  return room.reserve > 0 ? `${ratio}, ${words.reserved(show(room.reserve))}` : ratio;
}

/** What running guests are promised of a node. */
export function NodeAdmission({ node }: { node: string }) {
  const { data } = useNodeAdmission(node);
  const [isOpen, setOpen] = useState(false);
  if (!data) return null;
  const count = (n: number) => String(n);
  const rows: [string, ReactNode][] = [
    [t.node.memory, <Promised key="m" room={data.memory} show={bytes} label={t.node.memory} />],
    [words.memoryPolicy, policyOf(data.memory, bytes)],
    [words.cpus, <Promised key="c" room={data.cpus} show={count} label={words.cpus} />],
    [words.cpuPolicy, policyOf(data.cpus, count)],
  ];
  const values = Object.fromEntries(
    Object.entries(data.policy).map(([key, value]) => [key, String(value)]),
  );
  return (
    <Panel
      title={words.title}
      aux={
        <button type="button" className="lnk" onClick={() => setOpen(true)}>
          {t.guestPage.edit}
        </button>
      }
    >
      <Facts rows={rows} />
      {isOpen && (
        <OperationDialog
          form={{
            operation: 'node_admission_update',
            method: 'PUT',
            path: () => nodeAdmissionPath(node),
            title: words.ofNode(node),
            submit: t.save,
            fields: FIELDS,
            values,
            deletes: true,
          }}
          onClose={() => setOpen(false)}
        />
      )}
    </Panel>
  );
}
