import { type ReactNode, useState } from 'react';
import { errorText } from '../../api/tasks';
import { bytes, percent, plain, short } from '../../format';
import { Bar } from '../../parts/Bar';
import { Fill } from '../../parts/Fill';
import { Loaded, Loading } from '../../parts/Page';
import { Panel } from '../../parts/Panel';
import { TablePanel, type TableRow } from '../../parts/TablePanel';
import { t } from '../../texts';
import { DiskDrawer, Health, PoolDrawer } from './DiskDrawers';
import {
  type Disk,
  type Folder,
  type Group,
  type ThinPool,
  useDisks,
  usersOf,
  wornOf,
  type Zpool,
} from './disks';
import { useNodeOfPage } from './NodePage';

const words = t.node.disks;

/** Opens the drawer of a row. */
function Name({ children, onOpen }: { children: string; onOpen: () => void }) {
  return (
    <button type="button" className="lnk mono" aria-haspopup="dialog" onClick={onOpen}>
      {plain(children)}
    </button>
  );
}

function Wear({ disk }: { disk: Disk }) {
  const worn = wornOf(disk);
  if (worn === undefined) return '–';
  return (
    <span className="mm">
      <Bar part={worn} label={words.wear} />
      <span>{percent(worn)}</span>
    </span>
  );
}

function diskRow(disk: Disk, all: Disk[], onOpen: (disk: Disk) => void): TableRow {
  return {
    key: disk.devpath,
    cells: [
      <Name key="name" onOpen={() => onOpen(disk)}>
        {disk.devpath}
      </Name>,
      disk.model === 'unknown' ? '–' : plain(disk.model ?? '–'),
      bytes(disk.size),
      words.kinds[disk.type ?? ''] ?? t.unknown,
      usersOf(disk, all).map(plain).join(', ') || words.unused,
      <Wear key="wear" disk={disk} />,
      <Health key="health" word={disk.health ?? 'UNKNOWN'} />,
    ],
  };
}

function DisksPanel({ all, onOpen }: { all: Disk[]; onOpen: (disk: Disk) => void }) {
  const disks = all.filter((disk) => !disk.parent);
  const { disk, model, size, kind, use, wear, health } = words;
  return (
    <TablePanel
      title={words.title}
      head={[disk, model, size, kind, use, wear, health]}
      rows={disks.map((one) => diskRow(one, all, onOpen))}
      none={words.none}
    />
  );
}

/** One kind of what disks are made into. What the node cannot say is said in its place. */
function Section<T>({
  node,
  what,
  title,
  children,
}: {
  node: string;
  what: string;
  title: string;
  children: (data: T) => ReactNode;
}) {
  const query = useDisks<T>(node, what);
  if (query.data !== undefined) return children(query.data);
  return (
    <Panel title={title}>
      {query.error ? <p className="pad muted">{errorText(query.error)}</p> : <Loading />}
    </Panel>
  );
}

const ratio = (value: number | undefined) => (value ? `${short(value)} ×` : '–');

function ZfsPanel({ pools, onOpen }: { pools: Zpool[]; onOpen: (name: string) => void }) {
  const { pool, health, used, frag, compression, dedup } = words;
  return (
    <TablePanel
      title={words.zfs}
      head={[pool, health, used, frag, compression, dedup]}
      rows={pools.map((one) => ({
        key: one.name,
        cells: [
          <Name key="name" onOpen={() => onOpen(one.name)}>
            {one.name}
          </Name>,
          <Health key="health" word={one.health} />,
          <Fill key="used" used={one.alloc} size={one.size} label={used} />,
          `${one.frag} %`,
          ratio(one.compressratio),
          ratio(one.dedup),
        ],
      }))}
      none={words.noZfs}
    />
  );
}

function thinRow(pool: ThinPool): TableRow {
  const name = `${pool.vg}/${pool.lv}`;
  return {
    key: name,
    cells: [
      <span key="name" className="mono">
        {plain(name)}
      </span>,
      <Fill key="data" used={pool.used} size={pool.lv_size} label={words.data} />,
      <Fill
        key="metadata"
        used={pool.metadata_used}
        size={pool.metadata_size}
        label={words.metadata}
      />,
    ],
  };
}

const groupRow = (group: Group): TableRow => ({
  key: group.name,
  cells: [
    <span key="name" className="mono">
      {plain(group.name)}
    </span>,
    <Fill key="used" used={group.size - group.free} size={group.size} label={words.used} isCalm />,
    group.lvcount ?? '–',
    (group.children ?? []).map((disk) => plain(disk.name)).join(', '),
  ],
});

const folderRow = ({ path, device, type }: Folder): TableRow => ({
  key: path,
  cells: [plain(path), plain(device), plain(type)],
});

function Rest({ node, onPool }: { node: string; onPool: (name: string) => void }) {
  return (
    <>
      <Section<Zpool[]> node={node} what="zfs" title={words.zfs}>
        {(pools) => <ZfsPanel pools={pools} onOpen={onPool} />}
      </Section>
      <Section<ThinPool[]> node={node} what="lvmthin" title={words.thin}>
        {(pools) => (
          <TablePanel
            title={words.thin}
            head={[words.pool, words.data, words.metadata]}
            rows={pools.map(thinRow)}
            none={words.noThin}
          />
        )}
      </Section>
      <Section<{ children: Group[] }> node={node} what="lvm" title={words.groups}>
        {({ children }) => (
          <TablePanel
            title={words.groups}
            head={[words.group, words.used, words.volumes, words.title]}
            rows={children.map(groupRow)}
            none={words.noGroups}
          />
        )}
      </Section>
      <Section<Folder[]> node={node} what="directory" title={words.folders}>
        {(folders) => (
          <TablePanel
            title={words.folders}
            head={[words.path, words.device, words.type]}
            rows={folders.map(folderRow)}
            none={words.noFolders}
          />
        )}
      </Section>
    </>
  );
}

/** The disks of a node, and the pools, groups and directories that are made of them. */
export default function NodeDisks() {
  const node = useNodeOfPage();
  const query = useDisks<Disk[]>(node, 'list', { 'include-partitions': '1' });
  const [disk, setDisk] = useState<Disk>();
  const [pool, setPool] = useState<string>();
  return (
    <div className="body">
      <div className="stack">
        <Loaded query={query}>{(all) => <DisksPanel all={all} onOpen={setDisk} />}</Loaded>
        <Rest node={node} onPool={setPool} />
      </div>
      {disk && (
        <DiskDrawer
          node={node}
          disk={disk}
          all={query.data ?? []}
          onClose={() => setDisk(undefined)}
        />
      )}
      {pool && <PoolDrawer node={node} pool={pool} onClose={() => setPool(undefined)} />}
    </div>
  );
}
