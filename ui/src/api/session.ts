/** Who is logged in. The ticket is in the cookie of Proxmox VE, the CSRF token in memory alone. */

import { Store, useStore } from '../store';
import { api, persist, setCsrf, whenUnauthorized } from './client';

const COOKIE = 'PVEAuthCookie';
/** A ticket is valid for two hours. */
const RENEWAL_MS = 15 * 60 * 1000;

type Ticket = {
  username: string;
  ticket: string;
  CSRFPreventionToken: string;
  NeedTFA?: number;
};

/** The second step of a login. */
export type Challenge = { user: string; ticket: string; kinds: string[] };

export type Session =
  | { state: 'starting' }
  | { state: 'out'; user?: string; ended?: boolean }
  | { state: 'in'; user: string };

const session = new Store<Session>({ state: 'starting' });
let renewal: ReturnType<typeof setInterval> | undefined;

function readCookie(): string | undefined {
  const entry = document.cookie.split('; ').find((one) => one.startsWith(`${COOKIE}=`));
  return entry && decodeURIComponent(entry.slice(COOKIE.length + 1));
}

function writeCookie(ticket: string, seconds?: number) {
  const age = seconds === undefined ? '' : `; max-age=${seconds}`;
  // biome-ignore lint/suspicious/noDocumentCookie: the cookie of Proxmox VE is made by its client.
  document.cookie = `${COOKIE}=${encodeURIComponent(ticket)}; path=/; secure; samesite=strict${age}`;
}

/** The user of a ticket `PVE:user@realm:time::signature`. */
export function userOfTicket(ticket: string): string | undefined {
  const [kind, user] = ticket.split(':');
  return kind === 'PVE' && user && !user.startsWith('!') ? user : undefined;
}

/** The kinds of second factor that a challenge allows. */
export function kindsOfChallenge(ticket: string): string[] {
  const [, challenge] = /^PVE:!tfa!([^:]*):/.exec(ticket) ?? [];
  try {
    const kinds = JSON.parse(decodeURIComponent(challenge ?? '{}')) as Record<string, unknown>;
    return Object.keys(kinds).filter((kind) => kinds[kind] !== false && kinds[kind] !== null);
  } catch {
    return [];
  }
}

function enter(answer: Ticket) {
  writeCookie(answer.ticket);
  setCsrf(answer.CSRFPreventionToken);
  clearInterval(renewal);
  renewal = setInterval(renew, RENEWAL_MS);
  session.set({ state: 'in', user: answer.username });
}

/** The first step; a challenge is returned if there has to be a second. */
export async function login(user: string, password: string): Promise<Challenge | undefined> {
  const answer = await api.login<Ticket>({ username: user, password, 'new-format': 1 });
  if (answer.NeedTFA) {
    return { user, ticket: answer.ticket, kinds: kindsOfChallenge(answer.ticket) };
  }
  enter(answer);
}

export async function answerChallenge(challenge: Challenge, kind: string, value: string) {
  const answer = await api.login<Ticket>({
    username: challenge.user,
    'tfa-challenge': challenge.ticket,
    password: `${kind}:${value}`,
  });
  enter(answer);
}

/** A valid ticket is a password for the next one. A second request for it does no harm. */
async function renew() {
  const ticket = readCookie();
  const user = ticket && userOfTicket(ticket);
  if (!ticket || !user) return end();
  try {
    enter(await persist(() => api.login<Ticket>({ username: user, password: ticket })));
  } catch (error) {
    const status = (error as { status?: number }).status;
    if (status === 401) end();
    else if (getSession().state === 'starting') session.set({ state: 'out', user });
  }
}

/** The session ended by itself: the page stays below the login. */
export function end() {
  const before = getSession();
  if (before.state === 'out') return;
  const user = before.state === 'in' ? before.user : undefined;
  leave();
  session.set({ state: 'out', user, ended: user !== undefined });
}

export function logout() {
  leave();
  location.assign('/');
}

function leave() {
  clearInterval(renewal);
  setCsrf('');
  writeCookie('', 0);
}

export function startSession() {
  whenUnauthorized(end);
  void renew();
}

export const getSession = (): Session => session.get();

export const useSession = (): Session => useStore(session);
