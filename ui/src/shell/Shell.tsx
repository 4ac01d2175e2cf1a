import { Outlet, useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useEffect } from 'react';
import { useDialog } from '../actions/dialogs';
import { useSession } from '../api/session';
import { closeStream, openStream, resetStream, useLost } from '../api/stream';
import type { Lost } from '../api/streamLink';
import { Login } from '../pages/login/Login';
import { Loading } from '../parts/Page';
import { t } from '../texts';
import { useNow } from '../useNow';
import { Header } from './Header';
import { useKeys } from './keys';
import { Palette } from './Palette';
import { TaskDrawer } from './TaskDrawer';
import { Toasts } from './Toasts';
import { Tree } from './Tree';
import { getView, setView, useView } from './view';

const Dialogs = lazy(() => import('../dialogs/Dialogs'));
const KeysHelp = lazy(() => import('./KeysHelp'));
/** A short interruption is not worth a line. */
const LOST_SHOWN_MS = 5000;

function LostLine({ lost }: { lost: Lost }) {
  const now = useNow();
  if (now - lost.since < LOST_SHOWN_MS) return null;
  const time = new Date(lost.since).toLocaleTimeString('en-GB');
  const seconds = Math.max(0, Math.ceil((lost.retryAt - now) / 1000));
  return (
    <div className="lost" role="status">
      {t.stream.lost(time, seconds)}
    </div>
  );
}

function useShellKeys() {
  const navigate = useNavigate();
  const go = (href: string) => () => void navigate({ href });
  useKeys({
    'ctrl+k': () => setView({ isPaletteOpen: !getView().isPaletteOpen }),
    '[': () => setView({ isTreeHidden: !getView().isTreeHidden }),
    '?': () => setView({ isHelpOpen: true }),
    escape: () => setView({ isDrawerOpen: false, isTreeOver: false }),
    'g d': go('/datacenter'),
    'g n': go('/datacenter/nodes'),
    'g s': go('/datacenter/storage'),
    'g t': go('/datacenter/tasks'),
  });
}

function Frame() {
  const view = useView();
  const dialog = useDialog();
  const lost = useLost();
  useShellKeys();
  const classes = [
    'app',
    view.isDrawerOpen && 'drawer-open',
    view.isTreeHidden && 'no-tree',
    view.isTreeOver && 'tree-open',
  ];
  return (
    <>
      <a className="skip" href="#main">
        {t.skip}
      </a>
      <div className={classes.filter(Boolean).join(' ')}>
        <Header />
        <Tree />
        {view.isTreeOver && (
          <button
            type="button"
            className="tree-scrim"
            aria-label={t.close}
            onClick={() => setView({ isTreeOver: false })}
          />
        )}
        <main className="main" id="main">
          {lost && <LostLine lost={lost} />}
          <Suspense fallback={<Loading />}>
            <Outlet />
          </Suspense>
        </main>
        <TaskDrawer />
      </div>
      <Toasts />
      {view.isPaletteOpen && <Palette />}
      <Suspense fallback={null}>
        {view.isHelpOpen && <KeysHelp />}
        {dialog && <Dialogs dialog={dialog} />}
      </Suspense>
    </>
  );
}

/** The pages of a session; without one, the login. A session that ended lies below the login. */
export function Shell() {
  const session = useSession();
  const user = session.state === 'in' ? session.user : undefined;
  const ended = session.state === 'out' && session.ended;
  useEffect(() => {
    if (user) openStream(user);
    return closeStream;
  }, [user]);
  useEffect(() => {
    if (session.state === 'out' && !ended) resetStream();
  }, [session.state, ended]);
  if (session.state === 'starting') return <Loading />;
  if (session.state === 'out') return <Login session={session} />;
  return <Frame />;
}
