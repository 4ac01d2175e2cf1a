import type { ReactNode } from 'react';
import { guestPath } from '../../actions/guest';
import type { Guest } from '../../api/resources';
import { Blank, Loading } from '../../parts/Page';
import { t } from '../../texts';
import { configOf, usePending } from '../guest/config';
import { useGuestOfPage } from '../guest/GuestPage';
import { ConsoleFrame } from './ConsoleFrame';

export function GuestConsole({ guest, own = false }: { guest: Guest; own?: boolean }): ReactNode {
  const pending = usePending(guest);
  if (guest.status === 'stopped') {
    return (
      <Blank icon="console" title={t.console.offTitle(guest.label)}>
        <p>{t.console.offText}</p>
      </Blank>
    );
  }
  const ownWindow = own ? undefined : `/console/${guest.vmid}`;
  if (guest.type === 'lxc') {
    return <ConsoleFrame place={guestPath(guest)} kinds={['terminal']} ownWindow={ownWindow} />;
  }
  if (!pending.data) return <Loading />;
  const config = configOf(pending.data, 'now');
  const serials = [...config.keys()].filter((key) => /^serial\d$/.test(key));
  const display = config.get('vga') ?? '';
  const kinds = display.startsWith('serial') ? serials : ['screen', ...serials];
  return <ConsoleFrame place={guestPath(guest)} kinds={kinds} ownWindow={ownWindow} />;
}

export default function ConsoleTab() {
  const guest = useGuestOfPage();
  return guest ? <GuestConsole guest={guest} /> : null;
}
