import { rmSync, writeFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, enter, GUEST_MS, openBrowser, watch } from './harness';

/** With this file the storage `small` is nearly full. */
const { OSTLER_FILLER = '' } = process.env;

let browser: Browser;
let page: Page;
let errors: string[];
const asked: string[] = [];

beforeAll(async () => {
  const opened = await openBrowser();
  browser = opened.browser;
  page = await enter(opened.context);
  errors = watch(page);
  page.on('request', (request) => asked.push(`${request.method()} ${request.url()}`));
});
afterAll(() => browser.close());

const line = () => page.getByRole('listitem').filter({ hasText: "storage 'small'" });
const fill = () => writeFileSync(OSTLER_FILLER, Buffer.alloc(900 << 10, 1));

it('an alert opens by itself, on the page and in the header', async () => {
  await page.goto(address('/datacenter'));
  await page.getByRole('heading', { name: 'Alerts' }).waitFor();
  await expect.poll(() => line().count()).toBe(0);
  fill();
  await line().waitFor({ timeout: GUEST_MS });
  await page.locator('.hd').getByText('1 alert').waitFor();
  // Nothing was asked for: the stream has it.
  expect(asked.filter((request) => request.includes('/ostler/alerts'))).toEqual([]);
});

it('it is acknowledged with a comment, taken back and acknowledged again', async () => {
  await line().getByRole('button', { name: 'Acknowledge' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Comment').fill('a disk is ordered <b>now</b>');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await line()
    .getByText(/acknowledged by admin@pve, .*: a disk is ordered <b>now<\/b>/)
    .waitFor();
  await page.locator('.hd').getByText('1 alert').waitFor({ state: 'detached' });
  await line().getByRole('button', { name: 'Take back' }).click();
  await page.locator('.hd').getByText('1 alert').waitFor();
  await line().getByRole('button', { name: 'Acknowledge' }).click();
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await line().getByText('acknowledged by admin@pve').waitFor();
});

it('it closes by itself, and counts again when it opens anew', async () => {
  rmSync(OSTLER_FILLER);
  await line().waitFor({ state: 'detached', timeout: GUEST_MS });
  fill();
  await line().getByRole('button', { name: 'Acknowledge' }).waitFor({ timeout: GUEST_MS });
  await page.locator('.hd').getByText('1 alert').waitFor();
  expect(errors).toEqual([]);
});
