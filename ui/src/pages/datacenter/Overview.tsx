import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { api } from '../../api/client';
import type { Guest } from '../../api/resources';
import { useInventory } from '../../api/stream';
import { useTasks } from '../../api/tasks';
import { bitRate, byteRate, gib, percent, plain } from '../../format';
import { Glyph } from '../../parts/Glyph';
import { Icon } from '../../parts/Icon';
import { Panel } from '../../parts/Panel';
import { Segmented } from '../../parts/Segmented';
import { Spark } from '../../parts/Spark';
import { kindOf } from '../../parts/State';
import { Events } from '../../shell/Events';
import { guestAddress } from '../../shell/treeRows';
import { t } from '../../texts';
import { AlertsPanel } from './Alerts';
import { CHECK_ICONS, type Check, checksOf, type Finding, shownFirst } from './checks';
import { NodeTable } from './Nodes';
import { StorageTable } from './Storages';

const EVENTS = 8;
const TOP = 6;

type By = keyof typeof t.dc.topBy;

function useDoctor() {
  return useQuery({
    queryKey: ['doctor'],
    queryFn: ({ signal }) => api.get<Finding[]>('/ostler/doctor', {}, signal),
    refetchInterval: 30000,
  });
}

function Line({ check }: { check: Check }) {
  return (
    <li className={`chk t-${check.tone} ${check.tone === 'running' ? '' : 'loud'}`}>
      <Icon name={CHECK_ICONS[check.tone]} />
      <span className="k">{check.name}</span>
      <span className="v" title={plain(check.detail ?? check.text)}>
        {plain(check.text)}
        {check.hint && <span className="muted"> {plain(check.hint)}</span>}
      </span>
      {check.link && check.tone !== 'running' && <Link to={check.link}>{t.dc.open}</Link>}
    </li>
  );
}

/** What is well is one line, which opens: the rest of the page matters more. */
function HealthPanel() {
  const inventory = useInventory();
  const doctor = useDoctor();
  const [isOpen, setIsOpen] = useState(false);
  const { first, well } = shownFirst(checksOf(inventory, doctor.data ?? []));
  return (
    <Panel title={t.dc.health} aux={t.dc.healthAge}>
      <ul>
        {[...first, ...(isOpen ? well : [])].map((check) => (
          <Line key={check.key} check={check} />
        ))}
      </ul>
      {well.length > 0 && (
        <button
          type="button"
          className="chk chk-more"
          aria-expanded={isOpen}
          onClick={() => setIsOpen(!isOpen)}
        >
          <Icon name={isOpen ? 'up' : 'down'} />
          <span className="muted">{isOpen ? t.dc.lessChecks : t.dc.moreChecks(well.length)}</span>
        </button>
      )}
    </Panel>
  );
}

function Recent() {
  const { byVmid } = useInventory();
  const tasks = useTasks().slice(0, EVENTS);
  return (
    <Panel title={t.dc.recent} aux={<Link to="/datacenter/tasks">{t.dc.all}</Link>}>
      <Events
        tasks={tasks}
        none={t.tasks.none}
        objectOf={({ id }) => (
          <>
            <span className="mono">{plain(id)}</span> {plain(byVmid.get(Number(id))?.label ?? '')}
          </>
        )}
      />
    </Panel>
  );
}

const MEASURES: Record<By, (guest: Guest) => number | undefined> = {
  cpu: (guest) => guest.cpu,
  mem: (guest) => guest.mem,
  disk: (guest) => guest.diskRate,
  net: (guest) => guest.netRate,
};

function amount(by: By, value: number): string {
  if (by === 'cpu') return percent(value);
  if (by === 'mem') return `${gib(value)} GiB`;
  return by === 'disk' ? byteRate(value) : bitRate(value);
}

function Top() {
  const { guests } = useInventory();
  const [by, setBy] = useState<By>('cpu');
  const measure = MEASURES[by];
  const top = guests
    .filter((guest) => guest.status === 'running')
    .map((guest) => ({ guest, value: measure(guest) ?? 0 }))
    .sort((a, b) => b.value - a.value)
    .slice(0, TOP);
  return (
    <Panel
      title={t.dc.top}
      aux={
        <Segmented<By>
          label={t.dc.top}
          value={by}
          options={Object.entries(t.dc.topBy) as [By, string][]}
          onChange={setBy}
        />
      }
    >
      {top.length === 0 ? (
        <p className="pad muted">{t.dc.noTop}</p>
      ) : (
        <table className="tbl tight top">
          <tbody>
            {top.map(({ guest, value }) => (
              <tr key={guest.id}>
                <td className="id mono">{guest.vmid}</td>
                <td>
                  <Link className="name row" to={guestAddress(guest)}>
                    <Glyph kind={kindOf(guest)} state={guest.state} />
                    <span className="trunc">{plain(guest.label)}</span>
                  </Link>
                </td>
                <td className="muted">{guest.node}</td>
                {by === 'cpu' && (
                  <td className="sp">
                    <Spark vmid={guest.vmid} />
                  </td>
                )}
                <td className="num">{amount(by, value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

export default function Overview() {
  return (
    <div className="body">
      <div className="grid ov">
        <div className="stack">
          <AlertsPanel />
          <HealthPanel />
          <Panel title={t.dc.nodes}>
            <NodeTable />
          </Panel>
          <Recent />
        </div>
        <div className="stack">
          <Panel title={t.tree.storage}>
            <StorageTable isBrief />
          </Panel>
          <Top />
        </div>
      </div>
    </div>
  );
}
