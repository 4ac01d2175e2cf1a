import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, changer, enter, openBrowser } from './harness';

let browser: Browser;
let context: BrowserContext;
let page: Page;

/** How the connection between page and node is. */
let line: 'up' | 'down' | 'dead' = 'up';
/** The addresses that were connected to, and the first messages that came. */
const opened: string[] = [];
const firsts: { reset: number }[] = [];
let breakOff = () => {};

beforeAll(async () => {
  ({ browser, context } = await openBrowser());
  await (await enter(context)).close();
  page = await context.newPage();
  // Without a worker that is shared, the page has a connection of its own, which can be broken.
  await page.addInitScript(() => Reflect.deleteProperty(globalThis, 'SharedWorker'));
  await page.clock.install();
  await page.routeWebSocket(/ostler\/changes/, (route) => {
    opened.push(route.url());
    if (line === 'down') return void route.close({ code: 1011 });
    const server = route.connectToServer();
    const isMine = line === 'up';
    let isFirst = true;
    server.onMessage((message) => {
      if (isFirst) firsts.push(JSON.parse(String(message)));
      isFirst = false;
      // A connection that was there when the machine fell asleep says nothing any more.
      if (line !== 'dead' || !isMine) route.send(message);
    });
    breakOff = () => {
      void server.close();
      void route.close({ code: 1011 });
    };
  });
  await rename('before');
  await page.goto(address('/datacenter/guests'));
  await row('before').waitFor();
  await page.evaluate(() => Reflect.set(globalThis, 'isSamePage', true));
});
afterAll(() => browser.close());

const row = (name: string) => page.getByRole('link', { name, exact: true });

/** Renames guest 100 with another client. */
async function rename(name: string) {
  const change = await changer(context, page);
  const answer = await change('put', '/nodes/pve1/qemu/100/config', { name });
  expect(answer.status()).toBe(200);
}

const isSamePage = () => page.evaluate(() => Reflect.get(globalThis, 'isSamePage'));

it('after a break of the stream the table shows what changed, without a reload', async () => {
  line = 'down';
  breakOff();
  await page.clock.runFor(6000);
  await page.getByText(/Shown as of/).waitFor();
  await rename('while-down');
  line = 'up';
  const before = opened.length;
  await page.clock.runFor(20_000);
  await row('while-down').waitFor();
  await expect.poll(() => page.getByText(/Shown as of/).count()).toBe(0);
  expect(opened.slice(before)[0]).toMatch(/since=/);
  // It caught up: not everything was sent again.
  expect(firsts.at(-1)?.reset).toBe(0);
  expect(await isSamePage()).toBe(true);
});

it('a machine that has slept opens the stream again, and catches up', async () => {
  line = 'dead';
  await rename('while-asleep');
  const before = opened.length;
  await page.clock.fastForward(120_000);
  await row('while-asleep').waitFor();
  expect(opened.slice(before)[0]).toMatch(/since=/);
  expect(firsts.at(-1)?.reset).toBe(0);
  expect(await isSamePage()).toBe(true);
});
