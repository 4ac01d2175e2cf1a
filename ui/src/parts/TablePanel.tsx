import type { ReactNode } from 'react';
import { Panel } from './Panel';

export type TableRow = { key: string; cells: ReactNode[] };

/** A panel with a small table; the first cell of a row names it. */
export function TablePanel({
  title,
  aux,
  head,
  rows,
  none,
}: {
  title: string;
  aux?: ReactNode;
  head: string[];
  rows: TableRow[];
  /** What is said if there are no rows. */
  none: string;
}) {
  return (
    <Panel title={title} aux={aux}>
      {rows.length === 0 ? (
        <p className="pad muted">{none}</p>
      ) : (
        <div className="scrolls">
          <table className="tbl records fit">
            <thead>
              <tr>
                {head.map((name) => (
                  <th key={name}>{name}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(({ key, cells }) => (
                <tr key={key}>
                  {cells.map((cell, at) => (
                    <td key={head[at]} className={at === 0 ? 'name' : 't2'}>
                      {cell}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
