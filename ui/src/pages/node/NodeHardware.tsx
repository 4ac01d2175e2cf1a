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
  system: {
    vendor?: string;
    model?: string;
    serial?: string;
    board?: string;
    'board-serial'?: string;
  };
  cpu: {
    model: string;
    sockets: number;
    cores: number;
    threads: number;
    performance?: string;
    efficiency?: string;
    'max-mhz'?: number;
  };
  memory: {
    slot?: string;
    size?: number;
    type?: string;
    speed?: number;
    ecc?: boolean;
    vendor?: string;
    part?: string;
    serial?: string;
  }[];
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

function machineRows({ system }: Inventory): [string, ReactNode][] {
  const of = (text?: string) => text && plain(text);
  return known([
    [words.vendor, of(system.vendor)],
    [words.model, of(system.model)],
    [words.serial, of(system.serial)],
    [words.board, of(system.board)],
    [words.boardSerial, of(system['board-serial'])],
  ]);
}

/** `64 GB in 2 of 4 slots`. */
function modulesIn({ memory }: Inventory) {
  const full = memory.filter((one) => one.size);
  const size = full.reduce((sum, one) => sum + (one.size ?? 0), 0);
  return words.modulesIn(bytes(size), full.length, memory.length);
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
  aux,
  head,
  rows,
  none = words.none,
}: {
  title: string;
  aux?: ReactNode;
  head: string[];
  rows: (string | number | undefined)[][];
  none?: string;
}) {
  // Boards may call several slots the same.
  const shown = rows.map((row, at) => ({
    key: `${at} ${row[0]}`,
    cells: row.map((cell) => plain(String(cell ?? ''))),
  }));
  return <TablePanel title={title} aux={aux} head={head} rows={shown} none={none} />;
}

function Parts({ machine }: { machine: Inventory }) {
  return (
    <>
      <Table
        title={words.modules}
        aux={machine.memory.length > 0 && modulesIn(machine)}
        head={[words.slot, words.size, words.kind, words.speed, words.maker, words.serial]}
        rows={machine.memory.map((one) => [
          one.slot,
          one.size ? bytes(one.size) : words.emptySlot,
          [one.type, one.ecc && words.ecc].filter(Boolean).join(' '),
          one.speed && words.transfers(one.speed),
          [one.vendor, one.part].filter(Boolean).join(' '),
          one.serial,
        ])}
        none={words.noModules}
      />
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
          one.rotational ? words.rotating : words.solid,
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
          const facts = machineRows(machine);
          const time = timeRows(machine);
          return (
            <div className="grid gs">
              <div className="stack">
                <Parts machine={machine} />
              </div>
              <div className="stack">
                <Panel title={words.title}>
                  {facts.length > 0 ? (
                    <Facts rows={facts} />
                  ) : (
                    <p className="pad muted">{words.nameless}</p>
                  )}
                </Panel>
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
