/** A browser at a node, and what every page must not do. */

import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

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
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1440, height: 900 },
  });
  context.setDefaultTimeout(20_000);
  return { browser, context };
}

/** Errors of a page: its console, its scripts, and requests that fail. */
export function watch(page: Page): string[] {
  const errors: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => errors.push(`script: ${error.message}`));
  page.on('response', (response) => {
    if (response.status() >= 400) errors.push(`${response.status()} ${response.url()}`);
  });
  return errors;
}

export async function login(page: Page, password = PASSWORD) {
  await page.goto(address('/'));
  await page.getByLabel('User', { exact: true }).fill(USER);
  await page.getByRole('textbox', { name: 'Password' }).fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

export async function enter(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await login(page);
  await page.getByRole('treeitem').first().waitFor();
  return page;
}
