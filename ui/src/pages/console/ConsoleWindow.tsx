import { useParams } from '@tanstack/react-router';
import { useEffect } from 'react';
import { useSession } from '../../api/session';
import { closeStream, openStream, useGuest, useLive } from '../../api/stream';
import { plain } from '../../format';
import { Blank, Loading } from '../../parts/Page';
import { Toasts } from '../../shell/Toasts';
import { t } from '../../texts';
import { Login } from '../login/Login';
import { GuestConsole } from './Console';

/** A console in a window of its own, without the shell. */
export default function ConsoleWindow() {
  const { vmid } = useParams({ strict: false });
  const session = useSession();
  const { isLoaded } = useLive();
  const guest = useGuest(Number(vmid));
  const isIn = session.state === 'in';
  useEffect(() => {
    if (isIn) openStream();
    return closeStream;
  }, [isIn]);
  useEffect(() => {
    if (guest) document.title = `${guest.vmid} ${plain(guest.label)}`;
  }, [guest]);
  if (session.state === 'out') return <Login session={session} />;
  if (!isIn || !isLoaded) return <Loading />;
  if (!guest) return <Blank icon="gone" title={t.states.gone(String(vmid))} />;
  return (
    <main className="console-window">
      <GuestConsole guest={guest} own />
      <Toasts />
    </main>
  );
}
