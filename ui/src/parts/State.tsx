import type { Guest, GuestState } from '../api/resources';
import { t } from '../texts';
import { Glyph, toneOf } from './Glyph';
import { Icon, type IconName } from './Icon';

/** The word for what a guest is doing. */
export function wordOf(guest: Pick<Guest, 'state' | 'lock' | 'expected'>): string {
  if (guest.expected) return guest.expected;
  const lock = guest.state === 'busy' && guest.lock ? t.lock[guest.lock] : undefined;
  return lock ?? t.state[guest.state] ?? guest.state;
}

export const kindOf = (guest: Pick<Guest, 'type'>) => (guest.type === 'lxc' ? 'ct' : 'vm');

/** Glyph and word, as in tables: the word is coloured only if it is an exception. */
export function GuestStateWord({
  guest,
}: {
  guest: Pick<Guest, 'state' | 'lock' | 'type' | 'expected'>;
}) {
  const quiet: GuestState[] = ['running', 'stopped', 'template'];
  const tone = quiet.includes(guest.state) ? '' : 'tone';
  return (
    <span className={`st ${tone} t-${toneOf(guest.state)}`}>
      <Glyph kind={kindOf(guest)} state={guest.state} />
      {wordOf(guest)}
    </span>
  );
}

/** For page heads and exceptions. */
export function Badge({
  tone,
  icon,
  children,
}: {
  tone: string;
  icon?: IconName;
  children: string;
}) {
  return (
    <span className={`badge t-${tone}`}>
      {icon && <Icon name={icon} />}
      {children}
    </span>
  );
}

/** A word with an icon in the tone of a state. */
export function ToneWord({
  tone,
  icon,
  children,
}: {
  tone: string;
  icon: IconName;
  children: string;
}) {
  return (
    <span className={`st tone t-${tone}`}>
      <Icon name={icon} className="s" />
      {children}
    </span>
  );
}
