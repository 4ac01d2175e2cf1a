import { Link } from '@tanstack/react-router';
import { api, path } from '../../api/client';
import { useInventory } from '../../api/stream';
import { t } from '../../texts';
import { type RecordKind, Records, type Row, text } from './Records';

const words = t.records;
const id = (row: Row) => String(row.poolid);

export default function Pools() {
  const { guests } = useInventory();
  const membersOf = (row: Row) => guests.filter((guest) => guest.pool === id(row)).length;
  const kind: RecordKind = {
    list: '/pools',
    nameOf: id,
    columns: [
      [
        t.create.pool,
        (row) => (
          <Link to="/datacenter/guests" search={{ pool: id(row) } as never}>
            {text(row, 'poolid')}
          </Link>
        ),
      ],
      [t.guests.title, (row) => membersOf(row)],
      [words.comment, (row) => text(row, 'comment')],
    ],
    empty: { icon: 'pool', title: words.noPools, text: words.noPoolsText },
    add: {
      operation: 'pool_create',
      method: 'POST',
      path: () => '/pools',
      title: words.addPool,
      submit: words.add,
      fields: ['poolid', 'comment'],
    },
    change: (row) => ({
      operation: 'pool_update',
      method: 'PUT',
      path: () => '/pools',
      title: words.changeOf(id(row)),
      submit: t.save,
      fields: ['comment', 'vms', 'storage'],
      fixed: { poolid: id(row), 'allow-move': 1 },
      values: { comment: String(row.comment ?? '') },
    }),
    remove: (row) => api.delete(path('pools', id(row))),
  };
  return <Records kind={kind} />;
}
