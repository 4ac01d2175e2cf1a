import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, enter, GUEST_MS, openBrowser, watch } from './harness';

/** The guests of the node, without disks. */
const GUESTS = [100, 101];

let browser: Browser;
let page: Page;
let errors: string[];
/** What the page has changed, `POST /nodes/pve1/startall?vms=…`. */
const changes: string[] = [];

beforeAll(async () => {
  const opened = await openBrowser();
  browser = opened.browser;
  page = await enter(opened.context);
  errors = watch(page);
  page.on('request', (request) => {
    const { pathname } = new URL(request.url());
    if (request.method() === 'GET' || pathname.endsWith('/ticket')) return;
    changes.push(`${request.method()} ${pathname.replace('/api2/json', '')}?${request.postData()}`);
  });
  await page.goto(address('/datacenter'));
  await page.getByRole('heading', { name: 'Alerts' }).waitFor();
});
afterAll(() => browser.close());

const press = async (...keys: string[]) => {
  for (const key of keys) await page.keyboard.press(key);
};

async function are(state: string) {
  for (const vmid of GUESTS) {
    const row = page.locator('.gt tr', { hasText: String(vmid) });
    await row.getByText(state, { exact: true }).waitFor({ timeout: GUEST_MS });
  }
}

it('several guests are started and stopped by keys alone', async () => {
  await press('Control+k');
  await page.getByRole('combobox').fill('guests');
  await page
    .getByRole('option', { name: /Guests/ })
    .first()
    .waitFor();
  await press('Enter');
  await page.locator('.gt tr[aria-selected]').first().waitFor();
  await press('Control+a');
  const bulk = page.getByRole('toolbar', { name: '2 selected' });
  await bulk.getByRole('button', { name: 'Start' }).focus();
  await press('Enter');
  await are('running');
  // One task of the node for all of them.
  expect(changes).toEqual(['POST /nodes/pve1/startall?vms=100%2C101&force=1']);
  await bulk.getByRole('button', { name: 'Stop' }).focus();
  await press('Enter');
  await page.getByRole('dialog').getByText('Stop 2 selected').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Stop', exact: true }).focus();
  await press('Enter');
  await are('stopped');
  await press('Escape');
  await bulk.waitFor({ state: 'detached' });
});

it('a row is walked to, opened and left by keys, and a letter in a field is a letter', async () => {
  await press('j', 'j', 'k', 'x');
  await page.getByRole('toolbar', { name: '1 selected' }).waitFor();
  await press('Escape', 'Enter');
  await page.waitForURL(/\/guest\/100/);
  await press('g', 'd');
  await page.waitForURL(/\/datacenter/);
  await press('t');
  await page.getByRole('searchbox').or(page.getByPlaceholder('Object, user, type')).first().focus();
  await page.keyboard.type('st');
  expect(await page.getByPlaceholder('Object, user, type').inputValue()).toBe('st');
  await press('Escape', '?');
  await page.getByRole('dialog').getByText('Ctrl').first().waitFor();
  await press('Escape');
  expect(errors).toEqual([]);
});
