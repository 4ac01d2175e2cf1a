import { useState } from 'react';
import { findOperation, useOperations } from '../../api/operations';
import { useRight } from '../../api/rights';
import { errorText } from '../../api/tasks';
import { bytes, percent, plain } from '../../format';
import { Bar } from '../../parts/Bar';
import { Button, IconButton } from '../../parts/Button';
import { Fill } from '../../parts/Fill';
import { Loaded, Loading } from '../../parts/Page';
import { Panel } from '../../parts/Panel';
import { TablePanel, type TableRow } from '../../parts/TablePanel';
import { t } from '../../texts';
import { DiskDialog } from './DiskDialogs';
import { DiskDrawer, Health } from './DiskDrawers';
import { type Actions, type DiskChange, type Made, nameOfFolder } from './diskChanges';
import {
  type Disk,
  type Folder,
  type Group,
  type ThinPool,
  useDisks,
  usersOf,
  wornOf,
} from './disks';
import { useNodeOfPage } from './NodePage';
import { PoolDialog } from './PoolDialogs';
import { PoolDrawer, ratio, ScanLine } from './PoolDrawer';
import { POOLS, type PoolActions, type PoolChange, useZpools, type Zpool } from './zpools';

const words = t.node.disks;

/** A row of what was made of disks. */
type MadeRow = TableRow & {
  /** What it is called where it is destroyed; none: that is not done here. */
  name?: string;
  /** The volume group that it is in. */
  group?: string;
};

/** A table of what was made of disks: more is added, each is destroyed, where the node offers it. */
function MadePanel({
  made,
  head,
  rows,
  actions: { offers, ask },
  ...panel
}: {
  made: Made;
  title: string;
  head: string[];
  rows: MadeRow[];
  none: string;
  actions: Actions;
}) {
  const destroy = ({ name, group }: MadeRow) =>
    name && (
      <IconButton
        key="destroy"
        icon="trash"
        label={words.change.destroyOf(plain(name))}
        onClick={() => ask({ kind: 'destroy', made, name, group })}
      />
    );
  const isDestroyed = offers('DELETE', `${made}/{name}`);
  return (
    <TablePanel
      {...panel}
      aux={
        offers('POST', made) && (
          <Button
            kind="sm"
            icon="plus"
            aria-label={words.change.make[made]}
            title={words.change.make[made]}
            onClick={() => ask({ kind: 'make', made })}
          >
            {t.records.add}
          </Button>
        )
      }
      head={isDestroyed ? [...head, t.actions] : head}
      rows={rows.map((row) =>
        isDestroyed ? { ...row, cells: [...row.cells, destroy(row)] } : row,
      )}
    />
  );
}

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

const poolRow = (one: Zpool, onOpen: (name: string) => void): MadeRow => ({
  key: one.name,
  name: one.name,
  cells: [
    <Name key="name" onOpen={() => onOpen(one.name)}>
      {one.name}
    </Name>,
    <Health key="health" word={one.health} />,
    <Fill key="used" used={one.alloc} size={one.size} label={words.used} />,
    `${one.frag} %`,
    ratio(one.compressratio),
    ratio(one.dedup),
    <ScanLine key="scan" scan={one.scan} />,
  ],
});

function thinRow(pool: ThinPool): MadeRow {
  const name = `${pool.vg}/${pool.lv}`;
  return {
    key: name,
    name: pool.lv,
    group: pool.vg,
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

const groupRow = (group: Group): MadeRow => ({
  key: group.name,
  name: group.name,
  cells: [
    <span key="name" className="mono">
      {plain(group.name)}
    </span>,
    <Fill key="used" used={group.size - group.free} size={group.size} label={words.used} isCalm />,
    group.lvcount ?? '–',
    (group.children ?? []).map((disk) => plain(disk.name)).join(', '),
  ],
});

const folderRow = (folder: Folder): MadeRow => ({
  key: folder.path,
  name: nameOfFolder(folder),
  cells: [plain(folder.path), plain(folder.device), plain(folder.type)],
});

const HEADS: Record<Made, string[]> = {
  zfs: [
    words.pool,
    words.health,
    words.used,
    words.frag,
    words.compression,
    words.dedup,
    words.scan,
  ],
  lvmthin: [words.pool, words.data, words.metadata],
  lvm: [words.group, words.used, words.volumes, words.title],
  directory: [words.path, words.device, words.type],
};
const TITLES: Record<Made, string> = {
  zfs: words.zfs,
  lvmthin: words.thin,
  lvm: words.groups,
  directory: words.folders,
};
const NONE: Record<Made, string> = {
  zfs: words.noZfs,
  lvmthin: words.noThin,
  lvm: words.noGroups,
  directory: words.noFolders,
};

/** One kind of what disks are made into. What the node cannot say is said in its place. */
function Section<T>({
  query,
  made,
  actions,
  rowsOf,
}: {
  query: { data: T | undefined; error: unknown };
  made: Made;
  actions: Actions;
  rowsOf: (data: T) => MadeRow[];
}) {
  const title = TITLES[made];
  if (query.data === undefined) {
    return (
      <Panel title={title}>
        {query.error ? <p className="pad muted">{errorText(query.error)}</p> : <Loading />}
      </Panel>
    );
  }
  return (
    <MadePanel
      made={made}
      title={title}
      head={HEADS[made]}
      rows={rowsOf(query.data)}
      none={NONE[made]}
      actions={actions}
    />
  );
}

/** What the node's table has; nothing before it is read: these actions are never just tried. */
function useOffers(): Actions['offers'] {
  const table = useOperations().data;
  return (method, below) =>
    findOperation(table, method, `/nodes/{node}/disks/${below}`) !== undefined;
}

/** What can be done to pools: what the table has, where the caller may change the node. */
function usePoolActions(node: string, ask: PoolActions['ask']): PoolActions {
  const table = useOperations().data;
  const mayChange = useRight(`/nodes/${node}`, 'Sys.Modify');
  const can: PoolActions['can'] = (step) =>
    mayChange && findOperation(table, 'POST', `${POOLS}/{name}/${step}`) !== undefined;
  return { can, ask };
}

/** What is made of the disks of a node, kind by kind. */
function Sections({
  node,
  actions,
  onOpen,
}: {
  node: string;
  actions: Actions;
  onOpen: (pool: string) => void;
}) {
  const zfs = useZpools(node);
  const thin = useDisks<ThinPool[]>(node, 'lvmthin');
  const groups = useDisks<{ children: Group[] }>(node, 'lvm');
  const folders = useDisks<Folder[]>(node, 'directory');
  return (
    <>
      <Section
        made="zfs"
        query={zfs}
        actions={actions}
        rowsOf={(pools) => pools.map((one) => poolRow(one, onOpen))}
      />
      <Section
        made="lvmthin"
        query={thin}
        actions={actions}
        rowsOf={(pools) => pools.map(thinRow)}
      />
      <Section
        made="lvm"
        query={groups}
        actions={actions}
        rowsOf={({ children }) => children.map(groupRow)}
      />
      <Section
        made="directory"
        query={folders}
        actions={actions}
        rowsOf={(all) => all.map(folderRow)}
      />
    </>
  );
}

/** The disks of a node, and the pools, groups and directories that are made of them. */
export default function NodeDisks() {
  const node = useNodeOfPage();
  const query = useDisks<Disk[]>(node, 'list', { 'include-partitions': '1' });
  const [disk, setDisk] = useState<Disk>();
  const [pool, setPool] = useState<string>();
  const [change, setChange] = useState<DiskChange>();
  const [poolChange, setPoolChange] = useState<PoolChange>();
  const ask = (next: DiskChange) => {
    setDisk(undefined);
    setChange(next);
  };
  const actions = { offers: useOffers(), ask };
  const poolActions = usePoolActions(node, setPoolChange);
  const all = query.data ?? [];
  return (
    <div className="body">
      <div className="stack">
        <Loaded query={query}>{(disks) => <DisksPanel all={disks} onOpen={setDisk} />}</Loaded>
        <Sections node={node} actions={actions} onOpen={setPool} />
      </div>
      {disk && (
        <DiskDrawer
          node={node}
          disk={disk}
          all={all}
          actions={actions}
          onClose={() => setDisk(undefined)}
        />
      )}
      {pool && !poolChange && (
        // It comes back after the dialog: what was begun is seen there.
        <PoolDrawer
          node={node}
          pool={pool}
          actions={poolActions}
          onClose={() => setPool(undefined)}
        />
      )}
      {change && (
        <DiskDialog node={node} change={change} all={all} onClose={() => setChange(undefined)} />
      )}
      {poolChange && (
        <PoolDialog
          node={node}
          change={poolChange}
          all={all}
          onClose={() => setPoolChange(undefined)}
        />
      )}
    </div>
  );
}
