import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { api } from '../../api/client';
import { bytes, plain } from '../../format';
import { Loaded } from '../../parts/Page';
import { Facts, Panel } from '../../parts/Panel';
import { TablePanel } from '../../parts/TablePanel';
import { t } from '../../texts';
import { useNodeOfPage } from './NodePage';

const words = t.node.machine;

type Inventory = {
  system: { vendor?: string; model?: string; serial?: string; board?: string };
  cpu: {
    model: string;
    sockets: number;
    cores: number;
    threads: number;
    performance?: string;
    efficiency?: string;
    'max-mhz'?: number;
  };
  numa: { node: number; cpus: string; memory: number; free: number }[];
  controllers: {
    address: string;
    kind: string;
    name: string;
    driver?: string;
    attached: string[];
  }[];
  disks: {
    name: string;
    model?: string;
    serial?: string;
    size: number;
    rotational: boolean;
    controller?: string;
  }[];
  ports: {
    name: string;
    driver?: string;
    address: string;
    link: boolean;
    speed?: number;
    use?: string;
  }[];
  firmware: { of: string; version: string }[];
  time: { synchronised?: boolean; by?: string; source?: string; 'offset-s'?: number };
};

const known = (rows: [string, ReactNode][]) => rows.filter(([, value]) => value);

/** `1 Gbit/s` of 1000 Mbit/s. */
export const speedOf = (mbit: number) =>
  mbit >= 1000 ? `${mbit / 1000} Gbit/s` : `${mbit} Mbit/s`;

function cpuRows({ cpu }: Inventory): [string, ReactNode][] {
  const hasKinds = cpu.performance && cpu.efficiency;
  return known([
    [t.node.processor, cpu.model],
    ['\u00a0', t.node.threads(cpu.cores, cpu.threads, cpu.sockets)],
    [words.cores, hasKinds && words.kinds(cpu.performance ?? '', cpu.efficiency ?? '')],
    [words.fastest, cpu['max-mhz'] && `${(cpu['max-mhz'] / 1000).toFixed(1)} GHz`],
  ]);
}

function timeRows({ time }: Inventory): [string, ReactNode][] {
  const isKnown = time.synchronised !== undefined;
  const offset = time['offset-s'];
  return known([
    [words.inStep, isKnown && (time.synchronised ? t.guestPage.yes : words.outOfStep)],
    [words.source, time.source && plain(time.source)],
    [words.keeper, time.by],
    [words.offset, offset !== undefined && `${(offset * 1000).toFixed(3)} ms`],
  ]);
}

function Table({
  title,
  head,
  rows,
}: {
  title: string;
  head: string[];
  rows: (string | number | undefined)[][];
}) {
  const shown = rows.map((row) => ({
    key: String(row[0]),
    cells: row.map((cell) => plain(String(cell ?? ''))),
  }));
  return <TablePanel title={title} head={head} rows={shown} none={words.none} />;
}

function Parts({ machine }: { machine: Inventory }) {
  return (
    <>
      <Table
        title={words.controllers}
        head={[words.address, words.kind, words.name, words.driver, words.attached]}
        rows={machine.controllers.map((one) => [
          one.address,
          one.kind,
          one.name,
          one.driver,
          one.attached.join(', '),
        ])}
      />
      <Table
        title={words.disks}
        head={[words.disk, words.model, words.size, words.serial, words.kind]}
        rows={machine.disks.map((one) => [
          one.name,
          one.model,
          bytes(one.size),
          one.serial,
          one.rotational ? words.turns : '',
        ])}
      />
      <Table
        title={words.ports}
        head={[words.port, words.link, words.driver, words.mac, words.use]}
        rows={machine.ports.map((one) => [
          one.name,
          one.link ? (one.speed ? speedOf(one.speed) : words.linkUp) : words.noLink,
          one.driver,
          one.address,
          one.use,
        ])}
      />
      <Table
        title={words.numa}
        head={[words.numaNode, words.cpus, words.memory, words.free]}
        rows={machine.numa.map((one) => [one.node, one.cpus, bytes(one.memory), bytes(one.free)])}
      />
      <Table
        title={words.firmware}
        head={[words.name, words.version]}
        rows={machine.firmware.map((one) => [one.of, one.version])}
      />
    </>
  );
}

/** What the node is made of. */
export default function NodeHardware() {
  const node = useNodeOfPage();
  const query = useQuery({
    queryKey: ['node', node, 'machine'],
    queryFn: ({ signal }) => api.get<Inventory>('/ostler/hardware', { node }, signal),
    staleTime: 60_000,
  });
  return (
    <div className="body">
      <Loaded query={query}>
        {(machine) => {
          const { system } = machine;
          const facts = known([
            [words.vendor, system.vendor],
            [words.model, system.model],
            [words.board, system.board],
            [words.serial, system.serial],
          ]);
          const time = timeRows(machine);
          return (
            <div className="grid gs">
              <div className="stack">
                <Parts machine={machine} />
              </div>
              <div className="stack">
                {facts.length > 0 && (
                  <Panel title={words.title}>
                    <Facts rows={facts} />
                  </Panel>
                )}
                <Panel title={words.cpu}>
                  <Facts rows={cpuRows(machine)} />
                </Panel>
                {time.length > 0 && (
                  <Panel title={words.time}>
                    <Facts rows={time} />
                  </Panel>
                )}
              </div>
            </div>
          );
        }}
      </Loaded>
    </div>
  );
}
