import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, enter, GUEST_MS, openBrowser, PASSWORD, toastIn, watch } from './harness';
import { SCHEMES, wrongOf } from './whole';

let browser: Browser;
let context: BrowserContext;
let page: Page;
let errors: string[];

beforeAll(async () => {
  ({ browser, context } = await openBrowser());
  page = await enter(context);
  errors = watch(page);
});
afterAll(() => browser.close());

const toast = (text: string | RegExp) => toastIn(page, text);

const next = () => page.getByRole('button', { name: 'Next' }).click();

it('the wizard goes through the steps of a container, and a refusal is at its field', async () => {
  await page.getByRole('link', { name: 'Create guest' }).click();
  await page.getByRole('button', { name: 'Container', exact: true }).click();
  await page.getByLabel('Host name').fill('not_a_host');
  await next();
  await page.getByRole('combobox', { name: 'Template' }).click();
  await page.getByRole('option', { name: 'busy.tar.gz' }).click();
  await page.getByRole('textbox', { name: 'Password of root' }).fill(PASSWORD);
  await next();
  await page.getByLabel('Memory, MiB').fill('64');
  await page.getByLabel('Swap, MiB').fill('0');
  await next();
  await page.getByLabel('rootfs Size').fill('1');
  await page.getByRole('button', { name: 'Mount point' }).click();
  await page.getByLabel('mp0 Size').fill('1');
  await page.getByLabel('mp0 Path').fill('/srv/data');
  await next();
  await page.getByRole('combobox', { name: 'net0 Bridge' }).fill('vmbr9');
  await page.getByRole('combobox', { name: 'net0 IPv4' }).click();
  await page.getByRole('option', { name: 'static' }).click();
  await page.getByLabel('net0 IPv4 Address').fill('10.9.0.2/24');
  await page.getByText('pct create 100 \\ local:vztmpl/busy.tar.gz').waitFor();
  expect(await page.locator('.create').textContent()).not.toContain(PASSWORD);
  await page.getByRole('button', { name: 'Create guest' }).click();
  // All steps are shown, with the refusal at its field.
  const name = page.getByLabel('Host name');
  await page.locator('.f2', { has: name }).locator('.mantine-InputWrapper-error').waitFor();
  await name.fill('busy');
  await page.getByRole('button', { name: 'Create guest' }).click();
  await page.getByRole('alert').getByText("bridge 'vmbr9' does not exist").waitFor();
  errors.splice(0);
  await page.getByRole('combobox', { name: 'net0 Bridge' }).fill('vmbr0');
  await page.getByRole('button', { name: 'Create guest' }).click();
  await toast('Create guest 100 busy done');
  await page.goto(address('/guest/100'));
  await page.getByText('running', { exact: true }).first().waitFor({ timeout: GUEST_MS });
});

it('the summary says what it is and what it uses', async () => {
  const fact = (term: string) => page.locator('.facts .kv-row', { hasText: term });
  await fact('Unprivileged').getByText('yes').waitFor();
  await fact('Disk').getByText('1 GiB, local, /srv/data').waitFor();
  await fact('Network').getByText('eth0, vmbr0, 10.9.0.2/24').waitFor();
  await fact('Memory')
    .getByText(/of 64 MiB/)
    .waitFor();
});

it('its console takes a login and what is typed', async () => {
  await page.getByRole('link', { name: 'Console' }).click();
  await page.getByRole('status').getByText('connected').waitFor({ timeout: GUEST_MS });
  const lines = page.locator('.xterm-rows');
  const typed = page.locator('.xterm-helper-textarea');
  await typed.pressSequentially('\n');
  await lines.getByText('login:').first().waitFor({ timeout: GUEST_MS });
  await typed.pressSequentially('root\n');
  await lines.getByText('Password:').waitFor({ timeout: GUEST_MS });
  await typed.pressSequentially(`${PASSWORD}\n`);
  await typed.pressSequentially('echo $((6*7))-typed\n');
  await lines.getByText('42-typed').waitFor({ timeout: GUEST_MS });
});

it('only what containers have is offered', async () => {
  await page.getByRole('button', { name: 'More power actions' }).click();
  await page.getByRole('menuitem', { name: 'Stop' }).waitFor();
  expect(await page.getByRole('menuitem', { name: 'Reset' }).count()).toBe(0);
  await page.keyboard.press('Escape');
});

for (const scheme of SCHEMES) {
  it(`its pages are whole in ${scheme}`, async () => {
    const tabs = await page
      .locator('.ph ~ .tabs a')
      .evaluateAll((links) => links.map((link) => link.getAttribute('href') ?? ''));
    expect(tabs).toContain('/guest/100/dns');
    expect(await wrongOf(browser, context, scheme, tabs)).toEqual([]);
  });
}

it('a program is run: what it prints and its exit code are told', async () => {
  await page.goto(address('/guest/100'));
  await page.getByRole('button', { name: 'More', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Run a program' }).click();
  const dialog = page.getByRole('dialog');
  const command = dialog.getByRole('textbox', { name: 'Command' });
  await command.fill("sh -c 'cat; echo; echo wrong >&2; exit 3");
  await dialog.getByText('a quote has no end').waitFor();
  await command.fill("sh -c 'cat; echo; echo wrong >&2; exit 3'");
  await dialog.getByRole('textbox', { name: 'What it reads' }).fill('given');
  await dialog.getByRole('button', { name: 'Run' }).click();
  await dialog.getByText('exit code 3').waitFor({ timeout: GUEST_MS });
  const output = dialog.getByRole('log', { name: 'Output' });
  await expect.poll(() => output.textContent()).toBe('given\nwrong');
  await command.fill('hostname');
  await dialog.getByRole('button', { name: 'Run again' }).click();
  await dialog.getByText('exit code 0').waitFor({ timeout: GUEST_MS });
  await expect.poll(() => output.textContent()).toBe('busy');
  await dialog.getByRole('button', { name: 'Close' }).last().click();
});

it('a change of memory holds at once, one that waits can be taken back', async () => {
  await page.goto(address('/guest/100/hardware'));
  await page.getByRole('button', { name: /^Memory memory/ }).click();
  await page.getByRole('textbox', { name: 'Memory' }).fill('96');
  await page.getByText('pct set 100').waitFor();
  await page.locator('.diff .add').getByText('memory: 96').waitFor();
  await page.getByRole('button', { name: 'Apply' }).click();
  await page.getByRole('button', { name: /^Memory memory.*96/ }).waitFor({ timeout: GUEST_MS });

  await page.getByRole('link', { name: 'Options' }).click();
  await page.getByRole('button', { name: /^Terminals tty/ }).click();
  await page.getByRole('textbox', { name: 'Terminals' }).fill('3');
  await page.getByRole('button', { name: 'Apply' }).click();
  await page.getByText('1 waits for the next start').waitFor({ timeout: GUEST_MS });
  await page.getByRole('link', { name: 'Summary' }).click();
  await page.getByRole('button', { name: 'Revert' }).click();
  await page.getByText('1 change waits').waitFor({ state: 'detached' });
});

it('a card is added and removed', async () => {
  await page.getByRole('link', { name: 'Network' }).click();
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Network' }).click();
  await page.getByRole('textbox', { name: 'IPv4', exact: true }).fill('10.9.0.3/24');
  await page.getByRole('button', { name: 'Apply' }).click();
  const card = page.getByRole('button', { name: /^Network net1.*10\.9\.0\.3/ });
  await page.getByText('Nothing is changed.').waitFor({ timeout: GUEST_MS });
  await card.click();
  await page.getByRole('button', { name: 'Remove', exact: true }).click();
  await page.getByRole('button', { name: 'Apply' }).click();
  await card.waitFor({ state: 'detached', timeout: GUEST_MS });
});

it('it is stopped and destroyed with its number typed', async () => {
  expect(errors).toEqual([]);
  await page.getByRole('button', { name: 'More power actions' }).click();
  await page.getByRole('menuitem', { name: 'Stop' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Stop', exact: true }).click();
  await page.getByText('stopped', { exact: true }).first().waitFor({ timeout: GUEST_MS });
  await page.getByRole('button', { name: 'More', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Destroy' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText(/vm-100-disk-0\.raw \(1G\)/).waitFor();
  await dialog.getByText(/vm-100-disk-1\.raw \(1G\)/).waitFor();
  await dialog.getByLabel('Type 100 to confirm').fill('100');
  await dialog.getByRole('button', { name: 'Destroy' }).click();
  await toast('Destroy 100 busy done');
  await page.getByRole('treeitem', { name: /100/ }).waitFor({ state: 'detached' });
});

it('no page had an error', () => {
  // Its page may ask for it once more while it is being destroyed.
  const isOfGone = (line: string) => /\b500\b.*\/lxc\/100\//.test(line);
  expect(errors.filter((line) => !isOfGone(line))).toEqual([]);
});
