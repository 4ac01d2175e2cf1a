import { type KeyboardEvent, lazy, Suspense, useMemo, useState } from 'react';
import { t } from '../texts';
import { aligned, figures, type HistoryRow, isKnown, type Timeframe } from './history';
import { scaleOf, timeWord, type Unit, words } from './scale';

const Plot = lazy(() => import('./Plot'));

export type Series = { column: string; name: string; scale?: number };

export type GraphOf = {
  title: string;
  /** What values are, behind the title. */
  detail?: string;
  unit: Unit;
  series: Series[];
  least?: number;
  limit?: { value: number; label: string };
};

/** The row that the keyboard's cursor goes to; none ends it. */
function moved(key: string, cursor: number | undefined, count: number): number | undefined {
  const last = count - 1;
  const at = cursor ?? last + 1;
  if (key === 'ArrowLeft') return Math.max(at - 1, 0);
  if (key === 'ArrowRight') return Math.min(at + 1, last);
  if (key === 'Home') return 0;
  return key === 'End' ? last : undefined;
}

const KEYS = ['ArrowLeft', 'ArrowRight', 'Home', 'End', 'Escape'];

/** One graph: its values at the cursor are in the head, else the last ones. */
export function Graph({
  graph,
  rows,
  timeframe,
  none,
  sync,
}: {
  graph: GraphOf;
  rows: HistoryRow[];
  timeframe: Timeframe;
  /** What is said if nothing is known. */
  none: string;
  sync: string;
}) {
  const { title, unit, series } = graph;
  const [pointed, setPointed] = useState<number>();
  const [cursor, setCursor] = useState<number>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: series differ only by their columns.
  const data = useMemo(() => aligned(rows, series), [rows, series.map((one) => one.column).join()]);
  const all = series.map((_, at) => figures(data[at + 1] as (number | null)[]));
  const highest = Math.max(graph.limit?.value ?? 0, ...all.map((of) => of?.most ?? 0));
  const scale = scaleOf(unit, highest);
  const value = (at: number) => {
    const found = pointed === undefined ? all[at]?.last : data[at + 1]?.[pointed];
    return found === undefined || found === null ? undefined : words(found, scale);
  };
  const time = pointed === undefined ? undefined : data[0][pointed];
  const shown = series.map((one, at) => `${one.name} ${value(at) ?? t.graph.unknown}`).join(', ');
  const summary = all.flatMap((of, at) => {
    const name = series[at]?.name ?? '';
    if (!of) return [];
    const [last, least, mean, most] = [of.last, of.least, of.mean, of.most].map((figure) =>
      words(figure, scale),
    );
    return [t.graph.summary(name, last ?? '', least ?? '', mean ?? '', most ?? '')];
  });
  const onKeyDown = (event: KeyboardEvent) => {
    if (!KEYS.includes(event.key)) return;
    event.preventDefault();
    setCursor(moved(event.key, cursor, rows.length));
  };
  const columns = series.map((one) => one.column);
  return (
    <section className="gp">
      <header>
        <h2>
          {title} <small>{graph.detail ?? scale.name}</small>
        </h2>
        <span className="lg">
          {series.map((one, at) => (
            <span key={one.column}>
              <i className={`s${at + 1}`} />
              {one.name} <b>{value(at) ?? '–'}</b>
            </span>
          ))}
        </span>
      </header>
      {isKnown(rows, columns) ? (
        <div
          className="gp-box"
          role="img"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys move its cursor.
          tabIndex={0}
          aria-label={[title, ...summary, t.graph.keys].join('. ')}
          onKeyDown={onKeyDown}
          onBlur={() => setCursor(undefined)}
        >
          <Suspense fallback={<div className="gp-plot" />}>
            <Plot
              data={data}
              names={series.map((one) => one.name)}
              timeframe={timeframe}
              unit={unit}
              least={graph.least}
              limit={graph.limit}
              sync={sync}
              cursor={cursor}
              onCursor={setPointed}
            />
          </Suspense>
        </div>
      ) : (
        <p className="gp-none muted">{none}</p>
      )}
      <p className="hidden-text" aria-live="polite">
        {cursor !== undefined && time !== undefined
          ? t.graph.at(timeWord(timeframe, time), shown)
          : ''}
      </p>
    </section>
  );
}
