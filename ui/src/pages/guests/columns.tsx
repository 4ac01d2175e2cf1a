import {
  columnVisibilityFeature,
  createColumnHelper,
  rowSelectionFeature,
  rowSortingFeature,
  tableFeatures,
} from '@tanstack/react-table';
import { type Guest, rateNow, uptimeNow } from '../../api/resources';
import { bitRate, byteRate, gib, percent, plain, uptime } from '../../format';
import { Bar } from '../../parts/Bar';
import { Spark } from '../../parts/Spark';
import { GuestStateWord } from '../../parts/State';
import { t } from '../../texts';
import { isLive, VALUES } from './order';

export const features = tableFeatures({
  rowSortingFeature,
  columnVisibilityFeature,
  rowSelectionFeature,
});

const helper = createColumnHelper<typeof features, Guest>();
const titles = t.guests.columns;

const NONE = <span className="muted">–</span>;

function Memory({ guest }: { guest: Guest }) {
  const most = guest.maxmem ?? 0;
  if (!isLive(guest) || !most) {
    return (
      <span className="mm off">
        <span className="muted">{gib(most)}</span>
      </span>
    );
  }
  const used = guest.mem ?? 0;
  return (
    <span className="mm">
      <Bar part={used / most} label={titles.mem} />
      <span>
        {gib(used)}{' '}
        <span className="muted">
          {t.of} {gib(most)}
        </span>
      </span>
    </span>
  );
}

function Rate({
  guest,
  of,
  show,
}: {
  guest: Guest;
  of: 'netRate' | 'diskRate';
  show: (value: number) => string;
}) {
  const rate = isLive(guest) ? rateNow(guest[of], guest.seenAt, Date.now()) : undefined;
  return rate === undefined ? NONE : show(rate);
}

export const Tags = ({ tags }: { tags: string[] }) => (
  <>
    {tags.map((tag) => (
      <span key={tag} className="tag">
        {plain(tag)}
      </span>
    ))}
  </>
);

export const columns = helper.columns([
  helper.accessor(VALUES.vmid, {
    id: 'vmid',
    header: titles.vmid,
    cell: ({ row }) => row.original.vmid,
  }),
  helper.accessor(VALUES.name, {
    id: 'name',
    header: titles.name,
    cell: ({ row }) => plain(row.original.label),
  }),
  helper.accessor(VALUES.state, {
    id: 'state',
    header: titles.state,
    cell: ({ row }) => <GuestStateWord guest={row.original} />,
  }),
  helper.accessor(VALUES.node, {
    id: 'node',
    header: titles.node,
    cell: ({ row }) => row.original.node,
  }),
  helper.accessor(VALUES.cpu, {
    id: 'cpu',
    header: titles.cpu,
    cell: ({ row: { original: guest } }) =>
      isLive(guest) ? (
        <span className="mm">
          <Spark vmid={guest.vmid} />
          <span>{percent(guest.cpu ?? 0)}</span>
        </span>
      ) : (
        NONE
      ),
  }),
  helper.accessor(VALUES.mem, {
    id: 'mem',
    header: titles.mem,
    cell: ({ row }) => <Memory guest={row.original} />,
  }),
  helper.accessor(VALUES.net, {
    id: 'net',
    header: titles.net,
    cell: ({ row }) => <Rate guest={row.original} of="netRate" show={bitRate} />,
  }),
  helper.accessor(VALUES.disk, {
    id: 'disk',
    header: titles.disk,
    cell: ({ row }) => <Rate guest={row.original} of="diskRate" show={byteRate} />,
  }),
  helper.accessor(VALUES.uptime, {
    id: 'uptime',
    header: titles.uptime,
    cell: ({ row: { original: guest } }) =>
      isLive(guest) && guest.uptime
        ? uptime(uptimeNow(guest.uptime, guest.seenAt, Date.now()))
        : NONE,
  }),
  helper.accessor(VALUES.pool, {
    id: 'pool',
    header: titles.pool,
    cell: ({ row }) => (row.original.pool ? plain(row.original.pool) : NONE),
  }),
  helper.accessor(VALUES.tags, {
    id: 'tags',
    header: titles.tags,
    cell: ({ row }) => <Tags tags={row.original.tagList} />,
  }),
]);

/** Columns of numbers are aligned at the right. */
export const NUMBERS = ['cpu', 'mem', 'net', 'disk', 'uptime'];
/** Short names of columns in the style sheet. */
export const CLASSES: Record<string, string> = {
  vmid: 'c-id',
  name: 'c-nm',
  state: 'c-st',
  node: 'c-nd',
  cpu: 'c-cpu',
  mem: 'c-mem',
  net: 'c-net',
  disk: 'c-dk',
  uptime: 'c-up',
  pool: 'c-pl',
  tags: 'c-tg',
};
