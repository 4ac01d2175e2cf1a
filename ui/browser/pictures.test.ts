import { join } from 'node:path';
import type { Browser, BrowserContext, Page, Request } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, enter, GUEST_MS, openBrowser } from './harness';
import { beHomeServer } from './homeServer';

/** Where pictures are written. */
const { OSTLER_IMAGES = '' } = process.env;

const SIZE = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const SCHEMES = ['light', 'dark'];

let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  ({ browser, context } = await openBrowser());
  await (await enter(context)).close();
});
afterAll(() => browser.close());

async function pageIn(scheme: string, isPhone = false, isOut = false): Promise<Page> {
  const own = await browser.newContext({
    ignoreHTTPSErrors: true,
    reducedMotion: 'reduce',
    viewport: isPhone ? PHONE : SIZE,
    deviceScaleFactor: isPhone ? 2 : 1,
    hasTouch: isPhone,
    storageState: isOut ? undefined : await context.storageState(),
  });
  own.setDefaultTimeout(20_000);
  await own.addInitScript((name) => localStorage.setItem('ostler-scheme', name), scheme);
  return own.newPage();
}

/** Opens a page and waits until it is whole: nothing that it has asked for is outstanding. */
async function open(page: Page, path: string) {
  const asked = new Set<Request>();
  let answers = 0;
  const isAnswered = (request: Request) => {
    answers += Number(asked.delete(request) && request.url().includes('/cluster/'));
  };
  page.on('request', (request) => request.url().includes('/api2/') && asked.add(request));
  page.on('requestfinished', isAnswered);
  page.on('requestfailed', isAnswered);
  await page.goto(address(path));
  await page.locator('.tn').first().waitFor({ state: 'attached' });
  await page.waitForFunction(() => !document.querySelector('.loading'));
  await page.evaluate(() => document.fonts.ready);
  // Tasks and the state of the cluster are what every page asks for.
  await expect.poll(() => answers > 1 && asked.size === 0, { timeout: GUEST_MS }).toBe(true);
}

async function picture(page: Page, name: string, scheme: string) {
  const path = join(OSTLER_IMAGES, `${name}-${scheme}.png`);
  const bytes = await page.screenshot({ path, animations: 'disabled', caret: 'hide' });
  expect(bytes.length).toBeGreaterThan(5000);
}

async function console_(page: Page) {
  await open(page, '/guest/100/console');
  await page.getByRole('button', { name: 'Serial 0' }).click();
  await page.getByRole('status').getByText('connected').waitFor({ timeout: GUEST_MS });
  const lines = page.locator('.xterm-rows');
  await page.locator('.xterm-helper-textarea').pressSequentially('uname -a; df\n');
  await lines.getByText('Filesystem').first().waitFor({ timeout: GUEST_MS });
}

async function choose(page: Page, name: string, option: string) {
  await page.getByRole('combobox', { name }).click();
  await page.getByRole('option', { name: option }).click();
}

async function wizard(page: Page, scheme: string) {
  await open(page, '/create');
  await page.getByRole('button', { name: 'One page' }).click();
  await page.getByLabel('Name').fill('web-3');
  await choose(page, 'Node', 'n1');
  await page.getByRole('button', { name: 'Cloud image' }).click();
  await choose(page, 'Image', 'tiny.qcow2');
  await picture(page, 'wizard', scheme);
}

async function containers(page: Page, scheme: string) {
  await open(page, '/guest/106');
  await page.locator('.gp canvas').first().waitFor();
  await picture(page, 'container', scheme);
  await open(page, '/create?kind=lxc');
  await page.getByRole('button', { name: 'One page' }).click();
  await page.getByLabel('Host name').fill('dns-2');
  await choose(page, 'Node', 'n1');
  await choose(page, 'Template', 'alpine-3.20.tar.gz');
  await picture(page, 'container-wizard', scheme);
}

async function machine(page: Page, scheme: string) {
  await beHomeServer(page);
  await open(page, '/node/n1/disks');
  await picture(page, 'disks', scheme);
  await open(page, '/node/n1/hardware');
  await picture(page, 'hardware', scheme);
}

for (const scheme of SCHEMES) {
  it(`pictures in ${scheme}`, async () => {
    const out = await pageIn(scheme, false, true);
    await out.goto(address('/'));
    await out.getByRole('button', { name: 'Log in' }).waitFor();
    await picture(out, 'login', scheme);
    await out.context().close();

    const page = await pageIn(scheme);
    await open(page, '/datacenter');
    await picture(page, 'datacenter', scheme);
    await open(page, '/datacenter/guests');
    await page.locator('.spark path').first().waitFor({ state: 'attached' });
    await picture(page, 'table', scheme);
    await open(page, '/guest/101');
    await page.locator('.gp canvas').first().waitFor();
    await picture(page, 'guest', scheme);
    await console_(page);
    await picture(page, 'console', scheme);
    await wizard(page, scheme);
    await containers(page, scheme);
    await open(page, '/datacenter');
    await page.keyboard.press('t');
    await page.getByRole('row', { name: /Create.*100 tiny/ }).click();
    await page.getByRole('log').getByText('TASK OK').waitFor();
    await picture(page, 'tasks', scheme);
    await machine(page, scheme);
    await page.context().close();

    const phone = await pageIn(scheme, true);
    await open(phone, '/datacenter/guests');
    await picture(phone, 'phone', scheme);
    await phone.context().close();
  });
}
