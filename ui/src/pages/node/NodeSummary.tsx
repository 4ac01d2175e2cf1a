import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { api, path } from '../../api/client';
import { bytes, percent } from '../../format';
import { Graphs } from '../../graphs/Graphs';
import { nodeGraphs } from '../../graphs/kinds';
import { Bar } from '../../parts/Bar';
import { Loaded } from '../../parts/Page';
import { Facts, Panel } from '../../parts/Panel';
import { t } from '../../texts';
import { StorageTable } from '../datacenter/Storages';
import { NodeAdmission } from './NodeAdmission';
import { useNodeOfPage } from './NodePage';

type Space = { total: number; used: number; available?: number; avail?: number };

type Status = {
  cpu: number;
  wait: number;
  loadavg: string[];
  uptime: number;
  cpuinfo: { model: string; cpus: number; cores: number; sockets: number };
  memory: Space;
  swap: Space;
  rootfs: Space;
  'current-kernel': { sysname: string; release: string };
  'boot-info': { mode: string; secureboot?: number };
  ostler?: {
    version: string;
    kvm?: string;
    'kvm-reason'?: string;
    tools?: Record<string, string | null>;
  };
};

function Meter({ title, space }: { title: string; space: Space }) {
  if (!space.total) return null;
  return (
    <div className="meter">
      <h3>{title}</h3>
      <p>
        <b>{bytes(space.used)}</b>{' '}
        <span className="muted">
          {t.of} {bytes(space.total)}
        </span>
      </p>
      <Bar part={space.used / space.total} label={title} />
    </div>
  );
}

function factRows(status: Status): [string, ReactNode][] {
  const { cpuinfo, ostler } = status;
  const words = t.node;
  const rows: [string, ReactNode][] = [
    [words.processor, cpuinfo.model],
    ['', words.threads(cpuinfo.cores, cpuinfo.cpus, cpuinfo.sockets)],
    [words.load, status.loadavg.join(', ')],
    [words.kernel, `${status['current-kernel'].sysname} ${status['current-kernel'].release}`],
    [words.boot, status['boot-info'].mode],
    [words.version, ostler?.version ?? t.unknown],
    [words.kvm, [ostler?.kvm, ostler?.['kvm-reason']].filter(Boolean).join(': ')],
  ];
  for (const [tool, version] of Object.entries(ostler?.tools ?? {})) {
    if (version) rows.push([tool.toUpperCase(), version]);
  }
  return rows.filter(([, value]) => value !== '');
}

export default function NodeSummary() {
  const node = useNodeOfPage();
  const query = useQuery({
    queryKey: ['node', node, 'status'],
    queryFn: ({ signal }) => api.get<Status>(`${path('nodes', node)}/status`, {}, signal),
    refetchInterval: 5000,
  });
  return (
    <div className="body">
      <Loaded query={query}>
        {(status) => (
          <div className="grid gs">
            <div className="stack">
              <Panel title={t.node.use}>
                <div className="meters">
                  <div className="meter">
                    <h3>{t.guestPage.cpu}</h3>
                    <p>
                      <b>{percent(status.cpu)}</b>{' '}
                      <span className="muted">
                        {t.guestPage.ofCores(status.cpuinfo.cpus)}, {t.node.wait}{' '}
                        {percent(status.wait)}
                      </span>
                    </p>
                    <Bar part={status.cpu} label={t.guestPage.cpu} />
                  </div>
                  <Meter title={t.node.memory} space={status.memory} />
                  <Meter title={t.node.root} space={status.rootfs} />
                  <Meter title={t.node.swap} space={status.swap} />
                </div>
              </Panel>
              <Graphs
                path={path('nodes', node)}
                graphs={nodeGraphs(status.cpuinfo.cpus, status.memory.total)}
                now={{
                  time: Math.floor(query.dataUpdatedAt / 1000),
                  cpu: status.cpu,
                  iowait: status.wait,
                  loadavg: Number(status.loadavg[0]),
                  memused: status.memory.used,
                  memavailable: status.memory.available,
                }}
              />
              <Panel title={t.node.tabs.storage}>
                <StorageTable node={node} isBrief />
              </Panel>
            </div>
            <div className="stack">
              <Panel title={t.node.hardware}>
                <Facts rows={factRows(status)} />
              </Panel>
              <NodeAdmission node={node} />
            </div>
          </div>
        )}
      </Loaded>
    </div>
  );
}
