import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { ApiError } from '../api/client';
import { errorText } from '../api/tasks';
import { t } from '../texts';
import { Button } from './Button';
import { Icon, type IconName } from './Icon';

export function PageHead({
  glyph,
  id,
  title,
  children,
  meta,
  actions,
}: {
  glyph: ReactNode;
  id?: number;
  title: string;
  children?: ReactNode;
  meta?: ReactNode;
  actions?: ReactNode;
}) {
  return (
    <div className="ph">
      {glyph}
      {id !== undefined && <span className="id mono">{id}</span>}
      <h1 className="trunc" title={title}>
        {title}
      </h1>
      {children}
      <span className="meta">{meta}</span>
      {actions && <div className="acts">{actions}</div>}
    </div>
  );
}

export type Tab = { to: string; label: string; count?: number };

/** The pages of one object; the address says which is open. */
export function Tabs({ tabs }: { tabs: Tab[] }) {
  return (
    <nav className="tabs" aria-label={t.pages}>
      {tabs.map((tab) => (
        <Link key={tab.to} to={tab.to} activeOptions={{ exact: true, includeSearch: false }}>
          {tab.label}
          {tab.count !== undefined && <span className="n">{tab.count}</span>}
        </Link>
      ))}
    </nav>
  );
}

/** What a page shows instead of its content: icon, what is so, what to do next. */
export function Blank({
  icon,
  title,
  children,
}: {
  icon: IconName;
  title: string;
  children?: ReactNode;
}) {
  return (
    <div className="bs">
      <Icon name={icon} />
      <h3>{title}</h3>
      {children}
    </div>
  );
}

/** An error in the place of content: what failed, what was said, what to do. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const isForbidden = error instanceof ApiError && error.status === 403;
  const isRoots = isForbidden && error.message.includes('root@pam');
  return (
    <Blank
      icon={isForbidden ? 'lock' : 'err'}
      title={isForbidden ? t.states.forbidden : t.states.failed}
    >
      <p>{errorText(error)}</p>
      {isForbidden ? (
        <p>{isRoots ? t.states.rootHint : t.states.forbiddenHint}</p>
      ) : (
        retry && (
          <Button icon="reboot" onClick={retry}>
            {t.states.retry}
          </Button>
        )
      )}
    </Blank>
  );
}

/** Drawn only the first time, and only after a moment. */
export function Loading() {
  return (
    <div className="loading" role="status" aria-label={t.states.loading}>
      <span className="skel" />
      <span className="skel" />
      <span className="skel" />
    </div>
  );
}

type Query<T> = { data: T | undefined; error: unknown; refetch: () => unknown };

/** The content of a query: old content stays, an error takes its place only if there is none. */
export function Loaded<T>({
  query,
  children,
}: {
  query: Query<T>;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Failed error={query.error} retry={() => void query.refetch()} />;
  return <Loading />;
}
