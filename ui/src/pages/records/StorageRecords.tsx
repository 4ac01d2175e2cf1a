import { api, path } from '../../api/client';
import { useInventory } from '../../api/stream';
import { t } from '../../texts';
import { StorageTable } from '../datacenter/Storages';
import { type RecordKind, Records, type Row, text } from './Records';

const words = t.records;
const id = (row: Row) => String(row.storage);
const CHANGED = ['content', 'nodes', 'disable', 'shared', 'preallocation'];

/** How full storages are, and below it how they are set up. */
export default function StorageRecords() {
  const { nodes } = useInventory();
  const offers = { nodes: nodes.map((node) => node.node) };
  const kind: RecordKind = {
    list: '/storage',
    nameOf: id,
    columns: [
      [t.dc.columns.storage, (row) => text(row, 'storage')],
      [t.dc.columns.type, (row) => text(row, 'type')],
      [words.path, (row) => text(row, 'path') || [row.vgname, row.thinpool].join('/')],
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
      fields: ['storage', 'type', 'path', 'vgname', 'thinpool', ...CHANGED],
      offers,
    },
    change: (row) => ({
      operation: 'storage_update',
      method: 'PUT',
      path: () => path('storage', id(row)),
      title: words.changeOf(id(row)),
      submit: t.save,
      fields: CHANGED,
      values: Object.fromEntries(CHANGED.map((key) => [key, String(row[key] ?? '')])),
      offers,
    }),
    remove: (row) => api.delete(path('storage', id(row))),
    removes: () => words.removesStorage,
  };
  return (
    <div className="body flush">
      <StorageTable />
      <Records kind={kind}>
        <h2>{words.setup}</h2>
      </Records>
    </div>
  );
}
