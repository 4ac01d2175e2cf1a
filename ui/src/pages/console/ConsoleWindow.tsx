import { useParams } from '@tanstack/react-router';
import { type ReactNode, useEffect } from 'react';
import { path } from '../../api/client';
import { useSession } from '../../api/session';
import { closeStream, openStream, useGuest, useLive } from '../../api/stream';
import { plain } from '../../format';
import { Blank, Loading } from '../../parts/Page';
import { Toasts } from '../../shell/Toasts';
import { t } from '../../texts';
import { Login } from '../login/Login';
import { GuestConsole } from './Console';
import { ConsoleFrame } from './ConsoleFrame';

/** A window of its own for a console, without the shell of the other pages. */
function Window({ title, children }: { title: string; children: (user: string) => ReactNode }) {
  const session = useSession();
  useEffect(() => {
    document.title = title;
  }, [title]);
  if (session.state === 'out') return <Login session={session} />;
  if (session.state === 'starting') return <Loading />;
  return (
    <main className="console-window">
      {children(session.user)}
      <Toasts />
    </main>
  );
}

function Console({ vmid, user }: { vmid: number; user: string }) {
  const { isLoaded } = useLive();
  const guest = useGuest(vmid);
  useEffect(() => {
    openStream(user);
    return closeStream;
  }, [user]);
  if (!isLoaded) return <Loading />;
  if (!guest) return <Blank icon="gone" title={t.states.gone(String(vmid))} />;
  return <GuestConsole guest={guest} own />;
}

export function GuestWindow() {
  const vmid = Number(useParams({ strict: false }).vmid);
  const guest = useGuest(vmid);
  return (
    <Window title={`${vmid} ${plain(guest?.label ?? '')}`}>
      {(user) => <Console vmid={vmid} user={user} />}
    </Window>
  );
}

export function ShellWindow() {
  const node = String(useParams({ strict: false }).node);
  return (
    <Window title={node}>
      {() => <ConsoleFrame place={path('nodes', node)} kinds={['terminal']} />}
    </Window>
  );
}
