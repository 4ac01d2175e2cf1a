import type { ReactNode } from 'react';

export function Panel({
  title,
  aux,
  children,
  className = '',
}: {
  title: ReactNode;
  aux?: ReactNode;
  children: ReactNode;
  className?: string;
}) {
  return (
    <section className={`panel ${className}`}>
      <header>
        <h2>{title}</h2>
        {aux && <span className="aux">{aux}</span>}
      </header>
      {children}
    </section>
  );
}

/** Facts: a term and its value, line by line. */
export function Facts({ rows }: { rows: [string, ReactNode][] }) {
  return (
    <dl className="kv facts">
      {rows.map(([term, value]) => (
        <div key={term} className="kv-row">
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
