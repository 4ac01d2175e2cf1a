import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type ReactTable, type Row, useTable } from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import {
  memo,
  type ReactNode,
  type RefObject,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { GuestMenu } from '../../actions/GuestMenu';
import { guestAction, isOffered, tryAction } from '../../actions/guest';
import { knownOperations } from '../../api/operations';
import type { Guest } from '../../api/resources';
import { toast } from '../../api/toasts';
import { IconButton } from '../../parts/Button';
import { Icon } from '../../parts/Icon';
import { useKeys } from '../../shell/keys';
import { guestAddress } from '../../shell/treeRows';
import { t } from '../../texts';
import { useNow } from '../../useNow';
import { CheckBox } from './CheckBox';
import { CLASSES, columns, features, NUMBERS } from './columns';
import { type Sorting, sortingOf, sortOf } from './filters';
import { isLive } from './order';
import { useSteady } from './steady';

const ROW_PX = 28;
const CARD_PX = 88;
/** Rows beyond the edges. */
const OVERSCAN = 8;
/** How often what passes with time is drawn again. */
const TICK_MS = 5000;
/** Actions beside a row, at the right edge. */
const QUICK = ['start', 'shutdown', 'snapshot'];

type GuestTableRow = Row<typeof features, Guest>;
type Selection = { chosen: Set<number>; setChosen: (chosen: Set<number>) => void };

function Head({
  table,
  guests,
  selection,
  tools,
}: {
  table: ReactTable<typeof features, Guest>;
  guests: Guest[];
  selection: Selection;
  tools: ReactNode;
}) {
  const all = guests.length > 0 && guests.every(({ vmid }) => selection.chosen.has(vmid));
  const some = selection.chosen.size > 0;
  const headers = table.getHeaderGroups()[0]?.headers ?? [];
  return (
    <thead>
      <tr>
        <th className="c-cb">
          <CheckBox
            state={all ? true : some ? 'mixed' : false}
            label={t.guests.selectAll}
            onToggle={() =>
              selection.setChosen(all ? new Set() : new Set(guests.map(({ vmid }) => vmid)))
            }
          />
        </th>
        {headers.map((header) => {
          const { column } = header;
          const sorted = column.getIsSorted();
          const order = column.getSortIndex();
          return (
            <th
              key={header.id}
              className={`${CLASSES[column.id]} ${NUMBERS.includes(column.id) ? 'num' : ''}`}
              aria-sort={sorted ? (sorted === 'asc' ? 'ascending' : 'descending') : undefined}
            >
              <button
                type="button"
                className="th"
                title={t.guests.sortHint}
                onClick={column.getToggleSortingHandler()}
              >
                <table.FlexRender header={header} />
                {sorted && <Icon name={sorted === 'asc' ? 'up' : 'down'} />}
                {sorted && table.state.sorting.length > 1 && (
                  <span className="th-n">{order + 1}</span>
                )}
              </button>
            </th>
          );
        })}
        <th className="c-ac">
          <span className="thr">{tools}</span>
        </th>
      </tr>
    </thead>
  );
}

function RowActions({ guest }: { guest: Guest }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const table = knownOperations(client);
  return (
    <span className="ra">
      {isLive(guest) && (
        <IconButton
          icon="console"
          label={t.act.console}
          tabIndex={-1}
          onClick={() => void navigate({ href: `${guestAddress(guest)}/console` })}
        />
      )}
      {QUICK.map(guestAction)
        .filter((action) => isOffered(action, guest, table) && !action.refuses(guest))
        .map((action) => (
          <IconButton
            key={action.id}
            icon={action.icon}
            label={action.label}
            tabIndex={-1}
            onClick={() => action.run(guest, client)}
          />
        ))}
    </span>
  );
}

type LineProps = {
  table: ReactTable<typeof features, Guest>;
  row: GuestTableRow;
  at: number;
  isFocused: boolean;
  isMenuOpen: boolean;
  isChosen: boolean;
  /** Another value draws all rows again: rates and times pass. */
  tick: number;
  columns: unknown;
  does: RefObject<LineActions>;
};

type LineActions = {
  menu: (vmid: number, open: boolean) => void;
  toggle: (at: number, isRange: boolean) => void;
  focus: (at: number) => void;
};

/** A line is drawn again only if something of it is another. */
const Line = memo(
  DrawnLine,
  (before, after) =>
    before.row.original === after.row.original &&
    before.at === after.at &&
    before.isFocused === after.isFocused &&
    before.isMenuOpen === after.isMenuOpen &&
    before.isChosen === after.isChosen &&
    before.tick === after.tick &&
    before.columns === after.columns,
);

function DrawnLine({ table, row, at, isFocused, isMenuOpen, isChosen, does }: LineProps) {
  const guest = row.original;
  const navigate = useNavigate();
  const off = guest.state === 'stopped' || guest.state === 'unknown' ? 'off' : '';
  const idle = isLive(guest) ? '' : 'idle';
  return (
    <tr
      className={`${off} ${idle} ${isFocused ? 'is-kfocus' : ''}`}
      aria-selected={isChosen}
      data-vmid={guest.vmid}
      onClick={() => does.current.focus(at)}
    >
      <td className="c-cb">
        <CheckBox
          state={isChosen}
          label={t.guests.select(guest.vmid)}
          onToggle={(event) => does.current.toggle(at, event.shiftKey)}
        />
      </td>
      {row.getVisibleCells().map((cell) => {
        const { id } = cell.column;
        const content = <table.FlexRender cell={cell} />;
        return (
          <td
            key={cell.id}
            className={`${CLASSES[id]} ${NUMBERS.includes(id) ? 'num' : ''} ${id === 'vmid' ? 'id mono' : ''}`}
          >
            {id === 'name' ? (
              <a
                className="name"
                href={guestAddress(guest)}
                title={guest.label}
                onClick={(event) => {
                  if (event.ctrlKey || event.metaKey || event.button !== 0) return;
                  event.preventDefault();
                  void navigate({ href: guestAddress(guest) });
                }}
              >
                {content}
              </a>
            ) : (
              content
            )}
          </td>
        );
      })}
      <td className="c-ac">
        <RowActions guest={guest} />
        {isMenuOpen ? (
          <GuestMenu guest={guest} opened onChange={(open) => does.current.menu(guest.vmid, open)}>
            <IconButton icon="dots" label={`${t.actions} ${guest.vmid}`} />
          </GuestMenu>
        ) : (
          <IconButton
            icon="dots"
            label={`${t.actions} ${guest.vmid}`}
            aria-haspopup="menu"
            onClick={() => does.current.menu(guest.vmid, true)}
          />
        )}
      </td>
    </tr>
  );
}

/** Toggles a row, or all rows between it and the one toggled before. */
function useSelecting(guests: Guest[], { chosen, setChosen }: Selection) {
  const anchor = useRef(0);
  return (at: number, isRange: boolean) => {
    const guest = guests[at];
    if (!guest) return;
    const next = new Set(chosen);
    const adds = !next.has(guest.vmid);
    const [from, to] = isRange
      ? [Math.min(anchor.current, at), Math.max(anchor.current, at)]
      : [at, at];
    for (const { vmid } of guests.slice(from, to + 1)) {
      if (adds) next.add(vmid);
      else next.delete(vmid);
    }
    anchor.current = at;
    setChosen(next);
  };
}

export function GuestTable({
  guests,
  sort,
  onSort,
  visibility,
  selection,
  tools,
}: {
  guests: Guest[];
  sort: string | undefined;
  onSort: (sort: string | undefined) => void;
  visibility: Record<string, boolean>;
  selection: Selection;
  tools: ReactNode;
}) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const scroller = useRef<HTMLElement>(null);
  const [focus, setFocus] = useState(-1);
  const [menuOf, setMenuOf] = useState<number>();
  const sorting = sortingOf(sort);
  const { rows, hold, release } = useSteady(guests, `${sort} ${guests.length}`);
  const isCards = matchMedia('(max-width: 720px)').matches;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (isCards ? CARD_PX : ROW_PX),
    overscan: OVERSCAN,
  });
  const items = virtual.getVirtualItems();
  const first = items[0]?.index ?? 0;
  // The table has the rows that are in sight; what comes before and after is blank.
  const table = useTable({
    features,
    columns,
    data: useMemo(() => rows.slice(first, first + items.length), [rows, first, items.length]),
    getRowId: (guest: Guest) => guest.id,
    state: { sorting, columnVisibility: visibility },
    onSortingChange: (change) => {
      const next = typeof change === 'function' ? change(sorting) : change;
      onSort(sortOf(next as Sorting));
    },
    enableMultiSort: true,
  });
  const tick = useNow(TICK_MS);
  const select = useSelecting(rows, selection);
  const actions: LineActions = {
    menu: (vmid, open) => setMenuOf(open ? vmid : undefined),
    toggle: select,
    focus: setFocus,
  };
  const does = useRef(actions);
  useLayoutEffect(() => {
    does.current = actions;
  });
  const guestAt = () => rows[focus];
  const move = (step: number) => (event: KeyboardEvent) => {
    const to = Math.max(0, Math.min(rows.length - 1, focus + step));
    setFocus(to);
    virtual.scrollToIndex(to);
    if (event.shiftKey) select(to, true);
  };
  const act = (id: string) => () => {
    const guest = guestAt();
    const reason = guest && tryAction(id, guest, client);
    if (reason) toast({ tone: 'warning', text: t.palette.notNow(reason) });
  };
  useKeys({
    j: move(1),
    k: move(-1),
    arrowdown: move(1),
    arrowup: move(-1),
    x: () => select(focus, false),
    'ctrl+a': () => selection.setChosen(new Set(rows.map(({ vmid }) => vmid))),
    enter: () => {
      const guest = guestAt();
      if (guest) void navigate({ href: guestAddress(guest) });
    },
    '.': () => setMenuOf(guestAt()?.vmid),
    c: () => {
      const guest = guestAt();
      if (guest) void navigate({ href: `${guestAddress(guest)}/console` });
    },
    s: act('start'),
    S: act('shutdown'),
    m: act('migrate'),
    n: act('snapshot'),
    escape: () => selection.setChosen(new Set()),
  });
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the table is one stop; arrows move in it.
    <section className="tw2" ref={scroller} tabIndex={0} aria-label={t.guests.title}>
      <table className="tbl gt" aria-rowcount={rows.length}>
        <Head table={table} guests={rows} selection={selection} tools={tools} />
        <tbody onPointerMove={hold} onPointerLeave={release}>
          <tr className="spacer" style={{ height: before }} />
          {table.getRowModel().rows.map((row, place) => {
            const at = first + place;
            const { vmid } = row.original;
            return (
              <Line
                key={row.id}
                table={table}
                row={row}
                at={at}
                isFocused={at === focus}
                isMenuOpen={menuOf === vmid}
                isChosen={selection.chosen.has(vmid)}
                tick={tick}
                columns={visibility}
                does={does}
              />
            );
          })}
          <tr className="spacer" style={{ height: Math.max(0, after) }} />
        </tbody>
      </table>
    </section>
  );
}
