import {
  columnVisibilityFeature,
  createColumnHelper,
  createSortedRowModel,
  rowSelectionFeature,
  rowSortingFeature,
  sortFn_basic,
  sortFn_text,
  tableFeatures,
} from '@tanstack/react-table';
import { type Guest, rateNow, uptimeNow } from '../../api/resources';
import { bitRate, byteRate, gib, percent, plain, uptime } from '../../format';
import { Bar } from '../../parts/Bar';
import { GuestStateWord } from '../../parts/State';
import { t } from '../../texts';
import { rankOf } from './filters';

export const features = tableFeatures({
  rowSortingFeature,
  columnVisibilityFeature,
  rowSelectionFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { basic: sortFn_basic, text: sortFn_text },
});

const helper = createColumnHelper<typeof features, Guest>();
const titles = t.guests.columns;

export const isLive = (guest: Guest) => guest.status !== 'stopped' && guest.state !== 'unknown';
const last = { sortUndefined: 'last' as const };
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
  helper.accessor('vmid', {
    id: 'vmid',
    header: titles.vmid,
    sortFn: 'basic',
    cell: ({ row }) => row.original.vmid,
  }),
  helper.accessor((guest) => guest.label.toLowerCase(), {
    id: 'name',
    header: titles.name,
    sortFn: 'text',
    cell: ({ row }) => plain(row.original.label),
  }),
  helper.accessor(rankOf, {
    id: 'state',
    header: titles.state,
    sortFn: 'basic',
    cell: ({ row }) => <GuestStateWord guest={row.original} />,
  }),
  helper.accessor('node', { id: 'node', header: titles.node, sortFn: 'text' }),
  helper.accessor((guest) => (isLive(guest) ? guest.cpu : undefined), {
    id: 'cpu',
    header: titles.cpu,
    sortFn: 'basic',
    ...last,
    cell: ({ row: { original: guest } }) =>
      isLive(guest) ? (
        <span className="mm">
          <Bar part={guest.cpu ?? 0} label={titles.cpu} />
          <span>{percent(guest.cpu ?? 0)}</span>
        </span>
      ) : (
        NONE
      ),
  }),
  helper.accessor((guest) => (isLive(guest) ? guest.mem : undefined), {
    id: 'mem',
    header: titles.mem,
    sortFn: 'basic',
    ...last,
    cell: ({ row }) => <Memory guest={row.original} />,
  }),
  helper.accessor('netRate', {
    id: 'net',
    header: titles.net,
    sortFn: 'basic',
    ...last,
    cell: ({ row }) => <Rate guest={row.original} of="netRate" show={bitRate} />,
  }),
  helper.accessor('diskRate', {
    id: 'disk',
    header: titles.disk,
    sortFn: 'basic',
    ...last,
    cell: ({ row }) => <Rate guest={row.original} of="diskRate" show={byteRate} />,
  }),
  helper.accessor((guest) => (isLive(guest) ? guest.uptime : undefined), {
    id: 'uptime',
    header: titles.uptime,
    sortFn: 'basic',
    ...last,
    cell: ({ row: { original: guest } }) =>
      isLive(guest) && guest.uptime
        ? uptime(uptimeNow(guest.uptime, guest.seenAt, Date.now()))
        : NONE,
  }),
  helper.accessor((guest) => guest.pool, {
    id: 'pool',
    header: titles.pool,
    sortFn: 'text',
    ...last,
    cell: ({ row }) => (row.original.pool ? plain(row.original.pool) : NONE),
  }),
  helper.accessor((guest) => guest.tags, {
    id: 'tags',
    header: titles.tags,
    sortFn: 'text',
    ...last,
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
