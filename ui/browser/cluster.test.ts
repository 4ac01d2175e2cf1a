import { writeFileSync } from 'node:fs';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, enter, GUEST_MS, openBrowser } from './harness';

/** The node `n2` ends once this file is there. */
const { OSTLER_KILL = '' } = process.env;

let browser: Browser;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  ({ browser, context } = await openBrowser());
  page = await enter(context);
});
afterAll(() => browser.close());

const toast = (text: string) =>
  page.locator('.toasts').getByText(text).waitFor({ timeout: GUEST_MS });

async function migrate(to: string) {
  await page.getByRole('button', { name: 'Migrate', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Nothing speaks against it.').waitFor();
  await dialog.getByRole('button', { name: 'Migrate', exact: true }).click();
  await toast(`Migrate 100 → ${to} done`);
  await page.locator('.ph').getByText(`on ${to}`).waitFor();
}

it('a guest is moved, started and moved while it runs', async () => {
  await page.goto(address('/guest/100'));
  await migrate('n2');
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await page.locator('.ph').getByText('running').waitFor({ timeout: GUEST_MS });
  await migrate('n1');
  await migrate('n2');
});

it("a node's shell is opened through another node", async () => {
  const own = await context.newPage();
  await own.goto(address('/node/n3/shell'));
  await own.getByRole('status').getByText('connected').waitFor();
  const lines = own.locator('.xterm-rows');
  await lines.getByText('login:').first().waitFor();
  await own.locator('.xterm-helper-textarea').pressSequentially('nobody-of-this-name\n');
  await lines.getByText('Password:').waitFor();
  // It runs there: its task is of that node, and ends with the page.
  const shells = async () => {
    const answer = await page.request.get(address('/api2/json/nodes/n3/tasks?source=active'));
    const { data } = (await answer.json()) as { data: { type: string; node: string }[] };
    return data.filter(({ type, node }) => type === 'vncshell' && node === 'n3').length;
  };
  expect(await shells()).toBe(1);
  await own.close();
  await expect.poll(shells, { timeout: GUEST_MS }).toBe(0);
});

it('a node that is killed is seen as such, and its guests are unknown', async () => {
  await page.getByText('3 of 3 nodes').waitFor();
  writeFileSync(OSTLER_KILL, '');
  await page.locator('.ph').getByText('unknown').waitFor({ timeout: GUEST_MS });
  await page.getByRole('treeitem', { name: /^n2.*no report/ }).waitFor();
  await page.getByText('2 of 3 nodes').waitFor();
  await page.goto(address('/datacenter'));
  await page.getByText('n2 does not report').waitFor();
  await page.getByText('1 unknown: their node does not report').waitFor();
});
