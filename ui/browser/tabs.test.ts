import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, enter, openBrowser, openChanges, type Stream } from './harness';

/** A user may have so many change streams. */
const STREAMS = 16;
const TABS = 8;

let browser: Browser;
let context: BrowserContext;
let tabs: Page[];

beforeAll(async () => {
  ({ browser, context } = await openBrowser());
});
afterAll(() => browser.close());

/** How many streams the user of the browser has: as many as fewer can be opened besides. */
async function streamsOfUser(): Promise<number> {
  const cookies = await context.cookies();
  const ticket = cookies.find((cookie) => cookie.name === 'PVEAuthCookie')?.value ?? '';
  const opened: Stream[] = [];
  try {
    for (;;) opened.push(await openChanges({ Cookie: `PVEAuthCookie=${ticket}` }));
  } catch (error) {
    expect(String(error)).toContain('429');
  }
  for (const stream of opened) stream.close();
  return STREAMS - opened.length;
}

const isLoaded = (page: Page) => page.getByRole('treeitem', { name: /101/ }).waitFor();

it('eight tabs share one connection', async () => {
  tabs = [await enter(context)];
  for (let n = 1; n < TABS; n++) tabs.push(await context.newPage());
  for (const tab of tabs.slice(1)) await tab.goto(address('/datacenter'));
  for (const tab of tabs) await isLoaded(tab);
  expect(await streamsOfUser()).toBe(1);
});

it('all of them see a change, also when the first one is gone', async () => {
  await tabs[0]?.close();
  const [one, ...others] = tabs.slice(1);
  await one?.goto(address('/guest/100/options'));
  await one?.getByRole('button', { name: /^Name/ }).click();
  await one?.getByRole('textbox', { name: 'Name' }).fill('renamed');
  await one?.getByRole('button', { name: 'Apply' }).click();
  for (const tab of others) await tab.getByRole('treeitem', { name: /renamed/ }).waitFor();
});

it('a browser without shared workers has a connection for each tab', async () => {
  const storageState = await context.storageState();
  for (const tab of tabs) await tab.close();
  await expect.poll(streamsOfUser).toBe(0);
  const plain = await browser.newContext({ ignoreHTTPSErrors: true, storageState });
  await plain.addInitScript(() => Reflect.deleteProperty(globalThis, 'SharedWorker'));
  const pages = [await plain.newPage(), await plain.newPage()];
  for (const page of pages) {
    await page.goto(address('/datacenter'));
    await isLoaded(page);
  }
  expect(await streamsOfUser()).toBe(2);
  await plain.close();
});
