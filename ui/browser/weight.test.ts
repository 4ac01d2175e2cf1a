import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, GUEST_MS, login, openBrowser } from './harness';

/** The first download: the login and the first page behind it, as the network carries it. */
const LIMIT_KB = 300;

let browser: Browser;
let page: Page;
/** The address and bytes of each file by now. */
const files = new Map<string, number>();

beforeAll(async () => {
  const opened = await openBrowser();
  browser = opened.browser;
  page = await opened.context.newPage();
  const session = await opened.context.newCDPSession(page);
  await session.send('Network.enable');
  const addresses = new Map<string, string>();
  session.on('Network.requestWillBeSent', ({ requestId, request }) => {
    addresses.set(requestId, new URL(request.url).pathname);
  });
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const path = addresses.get(requestId) ?? '';
    if (!path.startsWith('/api2')) files.set(path, encodedDataLength);
  });
});
afterAll(() => browser.close());

const has = (name: string) => [...files.keys()].some((path) => path.includes(`/${name}-`));

it('the first download is small, without consoles and graphs', async () => {
  await login(page);
  await page.getByRole('heading', { name: 'Alerts' }).waitFor();
  await page.getByRole('heading', { name: 'Top consumers' }).waitFor();
  await page.getByRole('meter').first().waitFor();
  const bytes = [...files.values()].reduce((sum, one) => sum + one, 0);
  console.info(`the first download: ${files.size} files, ${(bytes / 1000).toFixed(0)} kB`);
  // Scripts, styles and the document are among them.
  expect(bytes).toBeGreaterThan(100_000);
  expect(bytes).toBeLessThan(1000 * LIMIT_KB);
  expect(['Plot', 'terminal', 'screen'].filter(has)).toEqual([]);
});

it('graphs and consoles are loaded when they are opened', async () => {
  await page.goto(address('/node/pve1'));
  await expect.poll(() => has('Plot'), { timeout: GUEST_MS }).toBe(true);
  expect(has('terminal')).toBe(false);
  await page.getByRole('link', { name: 'Shell' }).click();
  await expect.poll(() => has('terminal')).toBe(true);
  expect(has('screen')).toBe(false);
});
