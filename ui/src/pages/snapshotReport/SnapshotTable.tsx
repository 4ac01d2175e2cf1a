import { Link } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useRef } from 'react';
import { dateTime, plain, uptime } from '../../format';
import { guestAddress } from '../../shell/treeRows';
import { t } from '../../texts';
import { CheckBox } from '../guests/CheckBox';
import { isRemovable, keyOf, type Snapshot } from './report';

const words = t.snapshotReport;

const ROW_PX = 28;
/** Rows beyond the edges. */
const OVERSCAN = 8;

export type Selection = { chosen: ReadonlySet<string>; setChosen: (chosen: Set<string>) => void };

function Head({ rows, selection }: { rows: Snapshot[]; selection?: Selection }) {
  const able = rows.filter(isRemovable).map(keyOf);
  const chosen = able.filter((key) => selection?.chosen.has(key));
  const isAll = able.length > 0 && chosen.length === able.length;
  const titles = [words.guest, words.name, words.age, words.taken, words.by, words.holds];
  return (
    <thead>
      <tr>
        {selection && (
          <th className="c-cb">
            <CheckBox
              state={isAll || (chosen.length > 0 ? 'mixed' : false)}
              label={t.guests.selectAll}
              onToggle={() => selection.setChosen(new Set(isAll ? [] : able))}
            />
          </th>
        )}
        {[...titles, words.node].map((title) => (
          <th
            key={title}
            className={title === words.age ? 'c-age' : undefined}
            aria-sort={title === words.age ? 'descending' : undefined}
          >
            {title}
          </th>
        ))}
      </tr>
    </thead>
  );
}

function stateOf({ snapstate }: Snapshot): string | undefined {
  if (snapstate === undefined) return undefined;
  return snapstate === 'prepare' ? words.making : words.removing;
}

function Line({
  one,
  at,
  selection,
  onToggle,
}: {
  one: Snapshot;
  at: number;
  selection?: Selection;
  onToggle: (at: number, isRange: boolean) => void;
}) {
  const name = plain(one.name);
  const state = stateOf(one);
  const isChosen = selection?.chosen.has(keyOf(one)) ?? false;
  return (
    <tr aria-selected={isChosen} aria-rowindex={at + 2}>
      {selection && (
        <td className="c-cb">
          {isRemovable(one) && (
            <CheckBox
              state={isChosen}
              label={words.select(plain(keyOf(one)))}
              onToggle={(event) => onToggle(at, event.shiftKey)}
            />
          )}
        </td>
      )}
      <td>
        <Link className="name" to={`${guestAddress(one)}/snapshots`}>
          <span className="mono">{one.vmid}</span> {plain(one.guest ?? '')}
        </Link>
      </td>
      <td title={plain(one.description ?? one.name)}>
        {name} {state && <span className="muted">{state}</span>}
      </td>
      <td className="t2">{uptime(one.age)}</td>
      <td className="t2">{dateTime(one.snaptime)}</td>
      <td className="t2">{one.job === undefined ? words.byHand : words.job(plain(one.job))}</td>
      <td className="t2">{Number(one.vmstate) ? t.snap.ram : t.snap.disks}</td>
      <td className="t2">{plain(one.node)}</td>
    </tr>
  );
}

/** Toggles a row, or all rows between it and the one toggled before. */
function useSelecting(rows: Snapshot[], selection?: Selection) {
  const anchor = useRef(0);
  return (at: number, isRange: boolean) => {
    const one = rows[at];
    if (!one || !selection) return;
    const next = new Set(selection.chosen);
    const adds = !next.has(keyOf(one));
    const [from, to] = isRange
      ? [Math.min(anchor.current, at), Math.max(anchor.current, at)]
      : [at, at];
    for (const other of rows.slice(from, to + 1).filter(isRemovable)) {
      if (adds) next.add(keyOf(other));
      else next.delete(keyOf(other));
    }
    anchor.current = at;
    selection.setChosen(next);
  };
}

/** Snapshots, oldest first; the rows in sight are drawn. Without a selection nothing can be chosen. */
export function SnapshotTable({ rows, selection }: { rows: Snapshot[]; selection?: Selection }) {
  const scroller = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: OVERSCAN,
  });
  const toggle = useSelecting(rows, selection);
  const items = virtual.getVirtualItems();
  const after = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what is scrolled can be reached by keys.
    <section className="tw2" ref={scroller} tabIndex={0} aria-label={t.dc.tabs.snapshots}>
      <table className="tbl snapshots" aria-rowcount={rows.length + 1}>
        <Head rows={rows} selection={selection} />
        <tbody>
          <tr className="spacer" style={{ height: items[0]?.start ?? 0 }} />
          {items.map(({ index }) => {
            const one = rows[index];
            return (
              one && (
                <Line
                  key={keyOf(one)}
                  one={one}
                  at={index}
                  selection={selection}
                  onToggle={toggle}
                />
              )
            );
          })}
          <tr className="spacer" style={{ height: Math.max(0, after) }} />
        </tbody>
      </table>
    </section>
  );
}
