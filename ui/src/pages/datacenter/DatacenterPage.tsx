import { Link, Outlet } from '@tanstack/react-router';
import { hasOperation, useKnownOperations } from '../../api/operations';
import { useOutline } from '../../api/stream';
import { Icon } from '../../parts/Icon';
import { PageHead, type Tab, Tabs } from '../../parts/Page';
import { t } from '../../texts';

const names = t.dc.tabs;

/** Tabs that are there where the node serves their list. */
const SERVED: [string, string, string][] = [
  ['/datacenter/mappings', names.mappings, '/cluster/mapping/pci'],
  ['/datacenter/cpu-models', names.cpuModels, '/cluster/qemu/custom-cpu-models'],
  ['/datacenter/profiles', names.profiles, '/ostler/cluster/profiles'],
  ['/datacenter/tiers', names.tiers, '/ostler/cluster/tiers'],
  ['/datacenter/snapshots', names.snapshots, '/ostler/cluster/snapshots'],
  ['/datacenter/snapshot-jobs', names.snapshotJobs, '/ostler/cluster/snapshot-jobs'],
];

/** Head and tabs of the datacenter. */
export function DatacenterPage() {
  const { guests, nodes, storages } = useOutline();
  const table = useKnownOperations();
  const served = SERVED.filter(([, , list]) => hasOperation(table, 'GET', list));
  const real = guests.filter((guest) => !guest.template);
  const running = real.filter((guest) => guest.status === 'running').length;
  const tabs: Tab[] = [
    { to: '/datacenter', label: names.overview },
    { to: '/datacenter/guests', label: names.guests, count: guests.length },
    { to: '/datacenter/nodes', label: names.nodes, count: nodes.length },
    { to: '/datacenter/storage', label: names.storage, count: storages.length },
    { to: '/datacenter/cluster', label: names.cluster },
    { to: '/datacenter/permissions', label: names.permissions },
    { to: '/datacenter/pools', label: names.pools },
    ...served.map(([to, label]): Tab => ({ to, label })),
    { to: '/datacenter/options', label: names.options },
    { to: '/datacenter/tasks', label: names.tasks },
  ];
  return (
    <>
      <PageHead
        glyph={<Icon name="dc" className="pic" />}
        title={t.dc.title}
        meta={t.guests.meta(nodes.length, guests.length, running)}
        actions={
          <Link className="btn pri" to="/create">
            <Icon name="plus" />
            <span className="bl">{t.guests.create}</span>
          </Link>
        }
      />
      <Tabs tabs={tabs} />
      <Outlet />
    </>
  );
}
