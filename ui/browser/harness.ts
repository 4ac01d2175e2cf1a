/** A browser at a node, and what every page must not do. */

import { request } from 'node:https';
import {
  type APIResponse,
  type Browser,
  type BrowserContext,
  chromium,
  type Page,
} from 'playwright-core';

const { OSTLER_URL = '', OSTLER_USER = '', OSTLER_PASSWORD = '' } = process.env;
const CHROMIUM = process.env.OSTLER_CHROMIUM ?? '/usr/bin/chromium';

export const [USER = '', REALM = ''] = OSTLER_USER.split('@');
export const PASSWORD = OSTLER_PASSWORD;
export const address = (path: string) => `${OSTLER_URL}${path}`;

/** An emulated guest on a busy machine may take so long. */
export const GUEST_MS = 90_000;

export async function openBrowser(): Promise<{ browser: Browser; context: BrowserContext }> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    // A worker that tabs share is no part of a page, for which errors would be ignored.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--ignore-certificate-errors'],
  });
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1440, height: 900 },
  });
  context.setDefaultTimeout(20_000);
  return { browser, context };
}

/**
 * Chromium breaks requests off when a network card comes or goes, as a guest's does with its start,
 * and says so in the console whatever the page makes of it. The page sends such reads again.
 */
const NETWORK_CHANGED = 'net::ERR_NETWORK_CHANGED';

/** Errors of a page: its console, its scripts, and requests that fail. */
export function watch(page: Page): string[] {
  const errors: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes(NETWORK_CHANGED))
      errors.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => errors.push(`script: ${error.message}`));
  page.on('response', (response) => {
    if (response.status() >= 400) errors.push(`${response.status()} ${response.url()}`);
  });
  return errors;
}

export async function login(page: Page, password = PASSWORD, user = USER) {
  await page.goto(address('/'));
  await page.getByLabel('User', { exact: true }).fill(user);
  await page.getByRole('textbox', { name: 'Password' }).fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

export async function enter(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await login(page);
  await page.getByRole('treeitem').first().waitFor();
  return page;
}

/** Waits for a message at the bottom of the page. */
export const toastIn = (page: Page, text: string | RegExp) =>
  page.locator('.toasts').getByText(text).waitFor({ timeout: GUEST_MS });

type Change = (
  method: 'post' | 'put' | 'delete',
  path: string,
  form: Record<string, string | number>,
) => Promise<APIResponse>;

/** Changes by another client, which has the ticket of the page. */
export async function changer(context: BrowserContext, page: Page): Promise<Change> {
  const cookies = await context.cookies();
  const ticket = cookies.find((cookie) => cookie.name === 'PVEAuthCookie')?.value ?? '';
  const form = { username: `${USER}@${REALM}`, password: decodeURIComponent(ticket) };
  const answer = await page.request.post(address('/api2/json/access/ticket'), { form });
  const csrf = (await answer.json()).data.CSRFPreventionToken as string;
  const headers = { CSRFPreventionToken: csrf };
  return (method, path, form) =>
    page.request[method](address(`/api2/json${path}`), { headers, form });
}

export type Stream = { ended: Promise<void>; close: () => void };

/** The change stream as a program opens it, with the headers of a token or session. */
export function openChanges(credential: Record<string, string>): Promise<Stream> {
  const headers = {
    ...credential,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
  };
  const url = address('/api2/json/ostler/changes');
  return new Promise((opened, failed) => {
    const handshake = request(url, { headers, rejectUnauthorized: false });
    handshake.on('error', failed);
    handshake.on('response', (answer) => failed(new Error(`${answer.statusCode}`)));
    handshake.on('upgrade', (_, socket) => {
      socket.resume();
      const ended = new Promise<void>((done) => socket.once('end', () => done()));
      opened({ ended, close: () => socket.destroy() });
    });
    handshake.end();
  });
}
