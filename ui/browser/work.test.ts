import { type Browser, type BrowserContext, type Page, request } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  address,
  changer,
  enter,
  GUEST_MS,
  login,
  openBrowser,
  openChanges,
  PASSWORD,
  toastIn,
  watch,
} from './harness';
import { totp } from './totp';

let browser: Browser;
let context: BrowserContext;
let page: Page;
let errors: string[];

beforeAll(async () => {
  ({ browser, context } = await openBrowser());
});
afterAll(() => browser.close());

const toast = (text: string | RegExp) => toastIn(page, text);

async function confirmed(button: string) {
  await page.getByRole('dialog').getByRole('button', { name: button, exact: true }).click();
}

it('a wrong password is refused, the right one enters', async () => {
  const stranger = await context.newPage();
  await login(stranger, 'not-the-password');
  await stranger.getByText('User or password is wrong.').waitFor();
  await stranger.close();
  page = await enter(context);
  errors = watch(page);
});

it('the wizard creates a guest and starts it', async () => {
  await page.getByRole('link', { name: 'Create guest' }).click();
  await page.getByLabel('Name').fill('first');
  await page.getByRole('button', { name: 'One page' }).click();
  await page.getByRole('button', { name: 'Cloud image' }).click();
  await page.getByRole('combobox', { name: 'Image' }).click();
  await page.getByRole('option', { name: 'tiny.qcow2' }).click();
  await page.getByLabel('Memory, MiB').fill('128');
  await page.getByText('qm create 102').waitFor();
  await page.getByRole('button', { name: 'Create guest' }).click();
  await toast('Create guest 102 first done');
  await page.goto(address('/guest/102'));
  await page.getByText('running', { exact: true }).first().waitFor({ timeout: GUEST_MS });
});

it('its console prints, and takes what is typed', async () => {
  await page.getByRole('link', { name: 'Console' }).click();
  await page.getByRole('button', { name: 'Serial 0' }).click();
  await page.getByRole('status').getByText('connected').waitFor({ timeout: GUEST_MS });
  const lines = page.locator('.xterm-rows');
  await lines.getByText('tiny').first().waitFor({ timeout: GUEST_MS });
  await page.locator('.xterm-helper-textarea').pressSequentially('echo $((6*7))-typed\n');
  await lines.getByText('42-typed').waitFor({ timeout: GUEST_MS });
});

it('the screen is shown too', async () => {
  await page.getByRole('button', { name: 'Screen', exact: true }).click();
  await page.getByRole('status').getByText('connected').waitFor({ timeout: GUEST_MS });
  await page.locator('.term-in canvas').waitFor();
});

it('the shell of the node takes what is typed and what is pasted', async () => {
  await page.goto(address('/node/pve1'));
  await page.getByRole('link', { name: 'Shell' }).click();
  await page.getByRole('status').getByText('connected').waitFor();
  const lines = page.locator('.xterm-rows');
  // Not root: the node asks who it is.
  await lines.getByText('login:').first().waitFor();
  await page.locator('.xterm-helper-textarea').pressSequentially('nobody-of-this-name\n');
  await lines.getByText('Password:').waitFor();
  await page.keyboard.press('Enter');
  await lines.getByText('Login incorrect').waitFor({ timeout: GUEST_MS });
  await page.getByRole('button', { name: 'Paste' }).click();
  await page.getByRole('textbox', { name: 'Type this text' }).fill('pasted-name');
  await confirmed('Type it');
  await lines.getByText('pasted-name').waitFor();
});

it('a node is rebooted only with its name typed, and its running guests are named', async () => {
  await page.getByRole('button', { name: 'Reboot', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('102 first').waitFor();
  const reboot = dialog.getByRole('button', { name: 'Reboot' });
  expect(await reboot.isDisabled()).toBe(true);
  await dialog.getByLabel('Type pve1 to confirm').fill('pve1');
  expect(await reboot.isEnabled()).toBe(true);
  await confirmed('Cancel');
  await page.goto(address('/guest/102/console'));
});

it('a change of memory waits for the next start, and is shown before it is sent', async () => {
  await page.getByRole('link', { name: 'Hardware' }).click();
  await page.getByRole('button', { name: /^Memory memory/ }).click();
  await page.getByRole('textbox', { name: 'Memory' }).fill('160');
  await page.getByText('qm set 102').waitFor();
  await page.locator('.diff .add').getByText('memory: 160').waitFor();
  await page.getByRole('button', { name: 'Apply' }).click();
  await page.getByText('1 waits for the next start').waitFor({ timeout: GUEST_MS });
  await page.getByRole('link', { name: 'Summary' }).click();
  await page.getByText('1 change waits for the next start.').waitFor();
});

it('a snapshot is taken and rolled back to', async () => {
  await page.getByRole('link', { name: 'Snapshots' }).click();
  await page.getByRole('button', { name: 'Take snapshot' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('before');
  await confirmed('Take snapshot');
  await toast('Snapshot before of 102 done');
  await page.getByRole('button', { name: 'before' }).click();
  await page.getByRole('button', { name: 'Roll back' }).click();
  await confirmed('Roll back');
  await toast('Roll back before of 102 done');
});

it('a clone is made, and its task followed in the drawer', async () => {
  await page.goto(address('/guest/102'));
  await page.getByRole('button', { name: 'More', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Clone' }).click();
  await confirmed('Clone');
  await toast(/Clone 102 → 103 (started|done)/);
  await page.locator('.toasts').getByRole('button', { name: 'Log' }).first().click();
  await page.getByRole('log').getByText('TASK OK').waitFor({ timeout: GUEST_MS });
  await page.getByRole('treeitem', { name: /103/ }).waitFor();
});

it('a guest is found by the palette and destroyed with its number typed', async () => {
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill('destroy 103');
  await page.keyboard.press('Enter');
  const destroy = page.getByRole('dialog').getByRole('button', { name: 'Destroy' });
  expect(await destroy.isDisabled()).toBe(true);
  await page.getByLabel('Type 103 to confirm').fill('103');
  await destroy.click();
  await toast(/Destroy 103 .* done/);
  await page.getByRole('treeitem', { name: /103/ }).waitFor({ state: 'detached' });
});

it('a user, a right and a token are made, and the token opens what it may', async () => {
  await page.goto(address('/datacenter/permissions'));
  await page.getByRole('button', { name: 'Add user' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'User' }).fill('bot@pve');
  await confirmed('Add');
  await page.getByText('bot@pve').waitFor();

  await page.getByRole('button', { name: 'Rights' }).click();
  await page.getByRole('button', { name: 'Add right' }).click();
  await dialog.getByLabel('Path').fill('/vms/102');
  await dialog.getByLabel('User', { exact: true }).fill('bot@pve');
  await dialog.getByLabel('Role').fill('PVEAuditor');
  await confirmed('Add');
  await page.getByRole('row', { name: /vms\/102.*bot@pve/ }).waitFor();

  await page.getByRole('button', { name: 'Tokens' }).click();
  await page.getByRole('button', { name: 'Add token' }).click();
  await dialog.getByRole('textbox', { name: 'User' }).fill('bot@pve');
  await dialog.getByRole('textbox', { name: 'Token' }).fill('look');
  await dialog.getByRole('switch', { name: 'Own rights' }).setChecked(false, { force: true });
  await confirmed('Add');
  await page.getByText('The secret is shown once').waitFor();
  const secret = (await page.locator('.codebox .code').textContent()) ?? '';
  const client = await request.newContext({
    ignoreHTTPSErrors: true,
    extraHTTPHeaders: { Authorization: `PVEAPIToken=bot@pve!look=${secret.trim()}` },
  });
  const answer = await client.get(address('/api2/json/cluster/resources?type=vm'));
  const { data } = (await answer.json()) as { data: { vmid: number }[] };
  expect(data.map((row) => row.vmid)).toEqual([102]);
  await client.dispose();
  await page.getByRole('button', { name: 'Close', exact: true }).click();

  const stream = await openChanges({ Authorization: `PVEAPIToken=bot@pve!look=${secret.trim()}` });
  await page.getByRole('button', { name: 'Remove bot@pve!look' }).click();
  await confirmed('Remove');
  await stream.ended;
});

it('a user who is disabled is logged out at once', async () => {
  const change = await changer(context, page);
  await change('post', '/access/users', { userid: 'guest@pve', password: PASSWORD });
  const own = await browser.newContext({ ignoreHTTPSErrors: true });
  const other = await own.newPage();
  await login(other, PASSWORD, 'guest');
  await other.getByText('Datacenter').first().waitFor();
  await change('put', '/access/users/guest@pve', { enable: 0 });
  await other.getByText('The session has ended.').waitFor();
  await own.close();
});

// covers: S3.80
it('an app code becomes the second step of the login', async () => {
  await page.getByRole('button', { name: 'Second factor' }).click();
  await page.getByRole('button', { name: 'Add app code' }).click();
  const dialog = page.getByRole('dialog');
  const shown = (await dialog.locator('.codebox .code').textContent()) ?? '';
  const secret = new URL(shown.trim()).searchParams.get('secret') ?? '';
  await dialog.getByLabel('Code of the app').fill(totp(secret, Date.now()));
  await dialog.getByRole('textbox', { name: 'Your password' }).fill(PASSWORD);
  await confirmed('Add');
  await page.getByRole('cell', { name: 'App code' }).first().waitFor();

  const other = await browser.newContext({ ignoreHTTPSErrors: true });
  const second = await other.newPage();
  await login(second);
  await second.getByLabel('Six digits of the app').fill('000000');
  await second.getByText('That code is not valid.').waitFor();
  // A code is accepted once: the next period's is still new.
  await second.getByLabel('Six digits of the app').fill(totp(secret, Date.now() + 30_000));
  await second.getByRole('treeitem').first().waitFor();
  await other.close();
});

it('a reload keeps the session, logging out ends it', async () => {
  await page.reload();
  await page.getByRole('treeitem').first().waitFor();
  await page.getByRole('button', { name: /^User admin/ }).click();
  await page.getByRole('menuitem', { name: 'Log out' }).click();
  await page.getByRole('button', { name: 'Log in' }).waitFor();
  expect((await context.cookies()).filter((cookie) => cookie.name === 'PVEAuthCookie')).toEqual([]);
});

it('no page had an error', () => {
  expect(errors).toEqual([]);
});
