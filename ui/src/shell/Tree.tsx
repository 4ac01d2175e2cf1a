import { useNavigate, useRouterState } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, memo, useDeferredValue, useMemo, useRef, useState } from 'react';
import type { NodeRow } from '../api/resources';
import { useOutline } from '../api/stream';
import { plain } from '../format';
import { Glyph } from '../parts/Glyph';
import { Icon } from '../parts/Icon';
import { Segmented } from '../parts/Segmented';
import { kindOf, wordOf } from '../parts/State';
import { t } from '../texts';
import { useClusterName } from './Header';
import { useKeys } from './keys';
import { type TreeRow, treeRows } from './treeRows';
import { type Arrange, getView, setView, useView } from './view';

const ROW_PX = 26;
const ROW_TOUCH_PX = 40;

function rowGlyph(row: TreeRow) {
  switch (row.kind) {
    case 'guest':
      return <Glyph kind={kindOf(row.guest)} state={row.guest.state} />;
    case 'node':
      return <Glyph kind="node" state={row.node.status === 'online' ? 'running' : 'unknown'} />;
    case 'datacenter':
      return <Icon name="dc" />;
    case 'pool':
      return <Icon name="pool" />;
    case 'tag':
      return <Icon name="tag" />;
    default:
      return <Icon name="disk" />;
  }
}

function NodeAside({ node, running, guests }: { node: NodeRow; running: number; guests: number }) {
  if (node.status !== 'online') return <span className="tone t-unknown">{t.tree.silent}</span>;
  return <>{t.tree.running(running, guests)}</>;
}

function toggle(row: TreeRow, closed: string[]) {
  const isClosed = closed.includes(row.key);
  setView({ closed: isClosed ? closed.filter((key) => key !== row.key) : [...closed, row.key] });
}

type LineProps = {
  row: TreeRow;
  isHere: boolean;
  isStop: boolean;
  /** Always does the same with a row. */
  onOpen: (row: TreeRow) => void;
};

/** Rows of guests that did not change are the same objects: most lines are not drawn again. */
const Line = memo(
  DrawnLine,
  (before, after) =>
    before.row === after.row && before.isHere === after.isHere && before.isStop === after.isStop,
);

function DrawnLine({ row, isHere, isStop, onOpen }: LineProps) {
  const { closed } = useView();
  const isOff = row.kind === 'guest' && !['running', 'paused', 'busy'].includes(row.guest.state);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the tree has the keys, as one stop.
    <div
      className={`tn ${isOff ? 'off' : ''}`}
      role="treeitem"
      tabIndex={isStop ? 0 : -1}
      aria-selected={isHere}
      aria-expanded={row.isOpen}
      aria-level={row.depth + 1}
      data-key={row.key}
      style={{ '--d': row.depth } as React.CSSProperties}
      onClick={() => onOpen(row)}
    >
      {row.isOpen === undefined || row.kind === 'datacenter' ? (
        <span className="tw" />
      ) : (
        // biome-ignore lint/a11y/noStaticElementInteractions lint/a11y/useKeyWithClickEvents: arrows do the same.
        <span
          className="twist"
          onClick={(event) => {
            event.stopPropagation();
            toggle(row, closed);
          }}
        >
          <Icon name={row.isOpen ? 'down' : 'right'} className="tw" />
        </span>
      )}
      {rowGlyph(row)}
      {row.kind === 'guest' && <span className="id mono">{row.guest.vmid}</span>}
      <span className="nm" title={plain(row.label)}>
        {plain(row.label)}
      </span>
      <span className="rt">
        {row.kind === 'node' && (
          <NodeAside node={row.node} running={row.running} guests={row.guests} />
        )}
        {row.kind === 'guest' && <span className="vh">{wordOf(row.guest)}</span>}
      </span>
    </div>
  );
}

/** One stop for the keyboard: arrows move, open and close, Enter goes there. */
function useTreeKeys(rows: TreeRow[], open: (row: TreeRow) => void, reveal: (at: number) => void) {
  const [stop, setStop] = useState(0);
  const { closed } = useView();
  const focus = (at: number) => {
    const row = rows[at];
    if (!row) return;
    setStop(at);
    reveal(at);
    requestAnimationFrame(() =>
      document.querySelector<HTMLElement>(`.tree [data-key="${CSS.escape(row.key)}"]`)?.focus(),
    );
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const row = rows[stop];
    const moves = new Map<string, () => void>([
      ['ArrowDown', () => focus(stop + 1)],
      ['ArrowUp', () => focus(stop - 1)],
      ['Home', () => focus(0)],
      ['End', () => focus(rows.length - 1)],
      ['Enter', () => row && open(row)],
      ['ArrowRight', () => row?.isOpen === false && toggle(row, closed)],
      ['ArrowLeft', () => row?.isOpen && row.kind !== 'datacenter' && toggle(row, closed)],
    ]);
    const move = moves.get(event.key);
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    move();
  };
  return { stop: Math.min(stop, rows.length - 1), onKeyDown };
}

export function Tree() {
  const outline = useOutline();
  const view = useView();
  const navigate = useNavigate();
  const here = useRouterState({ select: (state) => state.location.pathname });
  const [find, setFind] = useState('');
  const deferred = useDeferredValue(find.trim());
  const input = useRef<HTMLInputElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const cluster = useClusterName();
  const rows = useMemo(
    () =>
      treeRows(outline, {
        arrange: view.arrange,
        closed: view.closed,
        find: deferred,
        cluster,
      }),
    [outline, view.arrange, view.closed, deferred, cluster],
  );
  const isTouch = matchMedia('(max-width: 720px)').matches;
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (isTouch ? ROW_TOUCH_PX : ROW_PX),
    overscan: 12,
  });
  const open = (row: TreeRow) => {
    if (!row.to) return toggle(row, getView().closed);
    setView({ isTreeOver: false });
    void navigate({ href: row.to });
  };
  const keys = useTreeKeys(rows, open, (at) => virtual.scrollToIndex(at));
  useKeys({ '/': () => input.current?.focus() });
  const isHere = (row: TreeRow) =>
    row.to !== undefined &&
    (row.kind === 'datacenter'
      ? here.startsWith(row.to)
      : here === row.to || here.startsWith(`${row.to}/`));
  return (
    <nav className="tree" aria-label={t.inventory}>
      <div className="tree-top">
        <label className="inp sm">
          <Icon name="search" className="s" />
          <input
            ref={input}
            placeholder={t.tree.find}
            aria-label={t.tree.find}
            value={find}
            onChange={(event) => setFind(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Escape') return;
              setFind('');
              event.currentTarget.blur();
            }}
          />
          <kbd>/</kbd>
        </label>
        <Segmented<Arrange>
          label={t.tree.by}
          value={view.arrange}
          options={[
            ['node', t.tree.node],
            ['pool', t.tree.pool],
            ['tag', t.tree.tag],
          ]}
          onChange={(arrange) => setView({ arrange })}
        />
      </div>
      <div className="tree-rows" ref={scroller}>
        <div
          role="tree"
          tabIndex={-1}
          aria-label={t.inventory}
          style={{ height: virtual.getTotalSize() }}
          onKeyDown={keys.onKeyDown}
        >
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index];
            return (
              row && (
                <div
                  key={row.key}
                  role="none"
                  className="tree-at"
                  style={{ transform: `translateY(${item.start}px)` }}
                >
                  <Line
                    row={row}
                    isHere={isHere(row)}
                    isStop={item.index === keys.stop}
                    onOpen={open}
                  />
                </div>
              )
            );
          })}
        </div>
        {deferred !== '' && rows.length === 1 && <p className="tree-none">{t.tree.nothing}</p>}
      </div>
    </nav>
  );
}
