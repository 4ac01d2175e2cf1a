import { join } from 'node:path';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GUEST_MS, login, openBrowser, PASSWORD, watch } from './harness';

/**
 * What somebody does who sees the interface for the first time, at a node as `./x up` leaves it: by
 * what the pages show alone, no address and no key. The time is to the second guest's console.
 */
const LIMIT_MS = 180_000;

/** Where pictures of each step are written, if wanted. */
const { OSTLER_STEPS = '' } = process.env;

let browser: Browser;
let context: BrowserContext;
let page: Page;
let errors: string[];
let clicks = 0;
let steps = 0;

beforeAll(async () => {
  ({ browser, context } = await openBrowser());
  page = await context.newPage();
  errors = watch(page);
});
afterAll(() => browser.close());

async function step(name: string) {
  steps += 1;
  const path = join(OSTLER_STEPS, `${String(steps).padStart(2, '0')}-${name}.png`);
  if (OSTLER_STEPS) await page.screenshot({ path });
}

async function click(what: Locator) {
  clicks += 1;
  await what.click({ timeout: GUEST_MS });
}

const button = (name: string) => page.getByRole('button', { name, exact: true });

/** Opens the console of the guest that is shown, and waits for its prompt. */
async function console_(prompt: RegExp) {
  await click(page.locator('.ph').getByRole('button', { name: 'Console' }));
  await page.getByRole('status').getByText('connected').waitFor({ timeout: GUEST_MS });
  await page.locator('.xterm-helper-textarea').pressSequentially('\n');
  await page.locator('.xterm-rows').getByText(prompt).first().waitFor({ timeout: GUEST_MS });
}

async function choose(name: string, option: string) {
  await click(page.getByRole('combobox', { name }));
  await click(page.getByRole('option', { name: option }));
}

it('from the login to the console of a second guest', async () => {
  const start = Date.now();
  await login(page);
  await page.getByRole('treeitem', { name: /hello/ }).waitFor();
  await step('in');
  await click(page.getByRole('treeitem', { name: /hello/ }));
  await page.locator('.ph').getByText('hello').waitFor();
  await step('hello');
  await console_(/tiny#/);
  await step('console');
  await click(button('More'));
  await step('more');
  await click(page.getByRole('menuitem', { name: 'Clone' }));
  await page.getByRole('dialog').waitFor();
  await step('clone');
  await click(page.getByRole('dialog').getByRole('button', { name: 'Clone', exact: true }));
  await click(page.locator('.toasts').getByRole('link', { name: 'Open' }));
  await page.locator('.ph').getByText('101').waitFor();
  await step('opened');
  await click(button('Start'));
  await step('started');
  await console_(/tiny#/);
  await step('second');
  const took = Date.now() - start;
  console.log(`second guest: ${clicks} clicks, ${(took / 1000).toFixed(1)} s`);
  expect(took).toBeLessThan(LIMIT_MS);
});

it('from there to a container with its console', async () => {
  const [before, start] = [clicks, Date.now()];
  await click(page.getByRole('treeitem').first());
  await click(page.getByRole('link', { name: 'Create guest' }));
  await step('wizard');
  await click(button('Container'));
  await page.getByLabel('Host name').fill('web');
  await step('container');
  await click(button('Next'));
  await choose('Template', 'busy.tar.gz');
  await page.getByRole('textbox', { name: 'Password of root' }).fill(PASSWORD);
  await step('template');
  await click(button('Next'));
  await step('limits');
  await click(button('Next'));
  await step('disks');
  await click(button('Next'));
  await step('network');
  await click(button('Create guest'));
  await page.locator('.ph').getByText('web').waitFor({ timeout: GUEST_MS });
  await page.locator('.ph').getByText('running').waitFor({ timeout: GUEST_MS });
  await step('created');
  await console_(/login:/);
  await step('its-console');
  const took = (Date.now() - start) / 1000;
  console.log(`container: ${clicks - before} clicks, ${took.toFixed(1)} s`);
});

it('no page had an error', () => {
  expect(errors).toEqual([]);
});
