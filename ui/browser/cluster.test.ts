import { writeFileSync } from 'node:fs';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, changer, enter, GUEST_MS, openBrowser, toastIn } from './harness';

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

const toast = (text: string) => toastIn(page, text);

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

it('several guests are moved at once, each after its own precheck', async () => {
  const change = await changer(context, page);
  await change('post', '/nodes/n3/qemu', { vmid: 101, name: 'second', memory: 64, kvm: 0 });
  await page.goto(address('/datacenter/guests'));
  await page.getByRole('link', { name: 'second' }).waitFor();
  await page.locator('.gt').getByRole('checkbox').first().click();
  await page.getByRole('toolbar').getByRole('button', { name: 'Migrate' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('combobox', { name: 'To node' }).click();
  await page.getByRole('option', { name: 'n2' }).click();
  await dialog.getByText('is there already').waitFor();
  await dialog.getByText('101 second moves').waitFor();
  await dialog.getByRole('button', { name: 'Migrate', exact: true }).click();
  await toast('Migrate a guest of n3 → n2 done');
  await page.goto(address('/guest/101'));
  await page.locator('.ph').getByText('on n2').waitFor();
  await page.goto(address('/guest/100'));
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
  await page.getByText('2 unknown: their node does not report').waitFor();
});
