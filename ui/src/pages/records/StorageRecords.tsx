import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, path } from '../../api/client';
import { hasOperation, useKnownOperations } from '../../api/operations';
import { useInventory } from '../../api/stream';
import { followTask } from '../../api/tasks';
import { FormDialog, useSubmit } from '../../dialogs/Frame';
import { plain } from '../../format';
import { IconButton } from '../../parts/Button';
import { t } from '../../texts';
import { exports as exportWords } from '../../texts/exports';
import { StorageTable } from '../datacenter/Storages';
import { type RecordKind, Records, type Row, text } from './Records';
import { EXPORTS, Export, Unexport } from './StorageExport';

const words = t.records;
const id = (row: Row) => String(row.storage);
const COMMON = ['content', 'nodes', 'bwlimit', 'disable'];

/** What each type is made with, and which of that can be changed later. */
const OF_TYPE: Record<string, { fixed: string[]; changed: string[] }> = {
  dir: {
    fixed: ['path', 'snapshot-as-volume-chain'],
    changed: ['shared', 'is_mountpoint', 'preallocation', 'content-dirs'],
  },
  btrfs: { fixed: ['path'], changed: ['nocow', 'shared', 'is_mountpoint'] },
  nfs: {
    fixed: ['server', 'export', 'snapshot-as-volume-chain'],
    changed: ['options', 'preallocation', 'content-dirs'],
  },
  cifs: {
    fixed: ['server', 'share', 'snapshot-as-volume-chain'],
    changed: ['username', 'password', 'domain', 'subdir', 'smbversion', 'options', 'preallocation'],
  },
  cephfs: {
    fixed: ['path'],
    changed: [
      'monhost',
      'username',
      'keyring',
      'fs-name',
      'subdir',
      'fuse',
      'options',
      'content-dirs',
    ],
  },
  lvm: {
    fixed: ['vgname', 'base', 'encrypted'],
    changed: [
      'shared',
      'snapshot-as-volume-chain',
      'saferemove',
      'saferemove_throughput',
      'tagged_only',
    ],
  },
  lvmthin: { fixed: ['vgname', 'thinpool', 'encrypted'], changed: [] },
  zfspool: { fixed: ['pool', 'encrypted'], changed: ['sparse', 'blocksize'] },
  iscsi: { fixed: ['portal', 'target'], changed: [] },
  iscsidirect: { fixed: ['portal', 'target'], changed: [] },
  rbd: {
    fixed: [],
    changed: ['monhost', 'pool', 'data-pool', 'namespace', 'username', 'keyring'],
  },
};
const OWN = Object.values(OF_TYPE).flatMap(({ fixed, changed }) => [...fixed, ...changed]);
const ALL = ['storage', 'type', ...new Set(OWN), ...COMMON];

const changedOf = (type: string) =>
  [...COMMON, ...(OF_TYPE[type]?.changed ?? [])].filter((name) => appliesTo(name, { type }));

/** Before a type is chosen there is nothing to be said of it. */
function appliesTo(name: string, { type = '' }: Record<string, string>): boolean {
  if (name === 'bwlimit') return type !== '' && type !== 'btrfs';
  const own = OF_TYPE[type];
  return !OWN.includes(name) || !!own?.fixed.includes(name) || !!own?.changed.includes(name);
}

/** A property as it is typed; folders of contents are shown as an object. */
function typed(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value ?? '');
  return Object.entries(value)
    .map(([content, folder]) => `${content}=${folder}`)
    .join(',');
}

/** Where a storage is, in a word. */
function place(row: Row): string {
  const { server, export: exported, share, vgname, thinpool, pool } = row;
  if (server) return [server, exported ?? share].join(' ');
  return text(row, 'path') || [pool ?? vgname, thinpool].filter(Boolean).join('/');
}

/** Whether its disk may come and go: a mount point of one node. */
const isRemovable = (row: Row) =>
  row.type === 'dir' &&
  !['', '0', 'no', 'off', 'false'].includes(text(row, 'is_mountpoint')) &&
  /^[^,]+$/.test(text(row, 'nodes'));

/** The node that may export it to the others; none where all have it already. */
function exporterOf(row: Row, nodes: string[]): string | undefined {
  const of = text(row, 'nodes') ? text(row, 'nodes').split(',') : nodes;
  const isOwn = ['dir', 'btrfs', 'zfspool'].includes(String(row.type)) && !row.shared;
  return isOwn && !row.encrypted && of.length === 1 ? of[0] : undefined;
}

/** A storage with the node that exports it, or could. */
type Exported = { storage: string; node: string; isDone: boolean };

type Verb = 'attach' | 'detach';

/** Attaches the disk of a storage, or makes it ready to be unplugged. */
function Plug({ row, verb, onClose }: { row: Row; verb: Verb; onClose: () => void }) {
  const client = useQueryClient();
  const form = useSubmit(onClose);
  const title = words[verb](id(row));
  const address = `/ostler${path('nodes', text(row, 'nodes'), 'storage', id(row), verb)}`;
  return (
    <FormDialog
      title={title}
      submitText={words.plug[verb]}
      form={form}
      onSubmit={() =>
        form.submit(async () => followTask(client, title, await api.post<string>(address, {})))
      }
      onClose={onClose}
    >
      <p className="t2">{words.plugText[verb]}</p>
    </FormDialog>
  );
}

const DETACH = '/ostler/nodes/{node}/storage/{storage}/detach';

/** How full storages are, and below it how they are set up. */
export default function StorageRecords() {
  const { nodes } = useInventory();
  const known = useKnownOperations();
  const canPlug = hasOperation(known, 'POST', DETACH);
  const canExport = hasOperation(known, 'POST', EXPORTS);
  const [plugged, setPlugged] = useState<{ row: Row; verb: Verb }>();
  const [exported, setExported] = useState<Exported>();
  const offers = { nodes: nodes.map((node) => node.node) };
  const exportOf = (row: Row): Exported | undefined => {
    const by = text(row, 'exporter');
    const node = by || exporterOf(row, offers.nodes);
    return node && canExport ? { storage: id(row), node, isDone: by !== '' } : undefined;
  };
  const kind: RecordKind = {
    list: '/storage',
    nameOf: id,
    columns: [
      [t.dc.columns.storage, (row) => text(row, 'storage')],
      [t.dc.columns.type, (row) => text(row, 'type')],
      [words.path, (row) => plain(place(row))],
      [t.dc.columns.content, (row) => text(row, 'content').split(',').join(', ')],
      [t.dc.tabs.nodes, (row) => text(row, 'nodes') || t.dc.all],
    ],
    empty: { icon: 'disk', title: words.noStorages, text: '' },
    add: {
      operation: 'storage_create',
      method: 'POST',
      path: () => '/storage',
      title: words.addStorage,
      submit: words.add,
      fields: ALL,
      appliesTo,
      offers,
    },
    change: (row) => ({
      operation: 'storage_update',
      method: 'PUT',
      path: () => path('storage', id(row)),
      title: words.changeOf(id(row)),
      submit: t.save,
      fields: changedOf(text(row, 'type')),
      values: Object.fromEntries(changedOf(text(row, 'type')).map((key) => [key, typed(row[key])])),
      offers,
    }),
    more: (row) => {
      const own = exportOf(row);
      return (
        <>
          {own && (
            <IconButton
              icon={own.isDone ? 'undo' : 'net'}
              label={(own.isDone ? exportWords.unexport : exportWords.export)(id(row))}
              onClick={() => setExported(own)}
            />
          )}
          {canPlug && isRemovable(row) && (
            <>
              <IconButton
                icon="link"
                label={words.attach(id(row))}
                onClick={() => setPlugged({ row, verb: 'attach' })}
              />
              <IconButton
                icon="power"
                label={words.detach(id(row))}
                onClick={() => setPlugged({ row, verb: 'detach' })}
              />
            </>
          )}
        </>
      );
    },
    remove: (row) => api.delete(path('storage', id(row))),
    removes: () => words.removesStorage,
  };
  return (
    <div className="body flush">
      <StorageTable />
      <Records kind={kind}>
        <h2>{words.setup}</h2>
      </Records>
      {exported &&
        (exported.isDone ? (
          <Unexport {...exported} onClose={() => setExported(undefined)} />
        ) : (
          <Export {...exported} onClose={() => setExported(undefined)} />
        ))}
      {plugged && <Plug {...plugged} onClose={() => setPlugged(undefined)} />}
    </div>
  );
}
