/** The graphs of an object: one range and one cursor for all of them. */

import { useMemo, useState } from 'react';
import { Loaded } from '../parts/Page';
import { Segmented } from '../parts/Segmented';
import { t } from '../texts';
import { Graph, type GraphOf } from './Graph';
import {
  type Cf,
  type HistoryRow,
  STEPS_S,
  type Timeframe,
  useHistory,
  useTail,
  withTail,
} from './history';
import { timeWord } from './scale';

function Span({ rows, timeframe }: { rows: HistoryRow[]; timeframe: Timeframe }) {
  const [first, last] = [rows[0]?.time, rows.at(-1)?.time];
  if (first === undefined || last === undefined) return null;
  const span = t.graph.span(timeWord(timeframe, first), timeWord(timeframe, last));
  return (
    <span className="muted gr-span">
      {span}, {t.graph.point(STEPS_S[timeframe])}
    </span>
  );
}

export function Graphs({
  path,
  graphs,
  now,
}: {
  /** The object's address in the API. */
  path: string;
  graphs: GraphOf[];
  /** What is measured now, for the end of the hour. */
  now?: HistoryRow;
}) {
  const [timeframe, setTimeframe] = useState<Timeframe>('hour');
  const [cf, setCf] = useState<Cf>('AVERAGE');
  const query = useHistory(path, timeframe, cf);
  const tail = useTail(path, now);
  const isLive = timeframe === 'hour' && now !== undefined;
  const rows = useMemo(
    () => (isLive ? withTail(query.data ?? [], tail) : (query.data ?? [])),
    [query.data, tail, isLive],
  );
  return (
    <section className="gr" aria-label={t.graph.range}>
      <div className="gr-bar">
        <Segmented<Timeframe>
          label={t.graph.range}
          value={timeframe}
          options={Object.entries(t.graph.ranges) as [Timeframe, string][]}
          onChange={setTimeframe}
        />
        <Span rows={rows} timeframe={timeframe} />
        <span className="grow" />
        {isLive && <span className="live">{t.guestPage.live}</span>}
        <Segmented<Cf>
          label={t.graph.of}
          value={cf}
          options={Object.entries(t.graph.cf) as [Cf, string][]}
          onChange={setCf}
        />
      </div>
      <Loaded query={query}>
        {() => (
          <div className="gr-grid">
            {graphs.map((graph) => (
              <Graph
                key={graph.title}
                graph={graph}
                rows={rows}
                timeframe={timeframe}
                none={isLive ? t.graph.none : t.graph.noRange}
                sync={path}
              />
            ))}
          </div>
        )}
      </Loaded>
    </section>
  );
}
