import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, enter, openBrowser } from './harness';
import { overflow, SCHEMES, wrongOf } from './whole';

const ROUTES = [
  '/datacenter',
  '/datacenter/guests',
  '/datacenter/guests?state=running&sort=-cpu,name',
  '/datacenter/nodes',
  '/datacenter/storage',
  '/datacenter/cluster',
  '/datacenter/permissions',
  '/datacenter/permissions?show=groups',
  '/datacenter/permissions?show=roles',
  '/datacenter/permissions?show=rights',
  '/datacenter/permissions?show=tokens',
  '/datacenter/permissions?show=factors',
  '/datacenter/pools',
  '/datacenter/mappings',
  '/datacenter/mappings?show=usb',
  '/datacenter/mappings?show=dir',
  '/datacenter/cpu-models',
  '/datacenter/profiles',
  '/datacenter/tiers',
  '/datacenter/snapshots',
  '/datacenter/snapshots?older=30&guest=101&job=-',
  '/datacenter/snapshot-jobs',
  '/datacenter/options',
  '/datacenter/tasks',
  '/guest/101',
  '/guest/101/console',
  '/guest/101/hardware',
  '/guest/101/options',
  '/guest/101/snapshots',
  '/guest/101/tasks',
  '/guest/101/permissions',
  '/guest/999',
  '/node/pve1',
  '/node/pve1/guests',
  '/node/pve1/storage',
  '/node/pve1/disks',
  '/node/pve1/hardware',
  '/node/pve1/network',
  '/node/pve1/services',
  '/node/pve1/shell',
  '/node/pve1/adopt',
  '/node/pve1/tasks',
  '/node/pve1/log',
  '/storage/pve1/local',
  '/create',
  '/create?kind=lxc',
  '/api',
];
/** A node without ZFS or LVM says so where their pools are asked for. */
const isMissing = (error: string) => /\/(pools|disks\/(lvm|lvmthin))$/.test(error);

let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  ({ browser, context } = await openBrowser());
  await (await enter(context)).close();
});
afterAll(() => browser.close());

for (const scheme of SCHEMES) {
  it(`every page is whole in ${scheme}`, async () => {
    expect(await wrongOf(browser, context, scheme, ROUTES, isMissing)).toEqual([]);
  });
}

it('every tab leads to a page that was looked at: what is not built has none', async () => {
  const page = await context.newPage();
  const opened = ROUTES.map((route) => route.split('?')[0]);
  for (const route of ['/datacenter', '/guest/101', '/node/pve1']) {
    await page.goto(address(route));
    const tabs = page.locator('.tabs a');
    await tabs.first().waitFor();
    const links = await tabs.evaluateAll((all) => all.map((one) => one.getAttribute('href') ?? ''));
    expect(links.length).toBeGreaterThan(5);
    expect(links.filter((link) => !opened.includes(link))).toEqual([]);
  }
});

it('names and notes with markup, marks and long words are text', async () => {
  const page = await context.newPage();
  let isFooled = false;
  page.on('dialog', () => {
    isFooled = true;
  });
  await page.goto(address('/guest/101'));
  await page.getByText('<img src=x onerror=alert(1)>').waitFor();
  await page.getByText('⟨202E⟩').waitFor();
  await page.setViewportSize({ width: 375, height: 812 });
  expect(await overflow(page)).toBeUndefined();
  expect(isFooled).toBe(false);
});

it('what a page loads comes from the node alone, and a frame is refused', async () => {
  const page = await context.newPage();
  const hosts = new Set<string>();
  page.on('request', (request) => hosts.add(new URL(request.url()).host));
  const answer = await page.goto(address('/datacenter'));
  await page.getByRole('treeitem').first().waitFor();
  expect([...hosts]).toEqual([new URL(address('/')).host]);
  const headers = answer?.headers() ?? {};
  expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
  expect(headers['content-security-policy']).toContain("script-src 'self';");
});

it('nothing secret is in the storage of the browser', async () => {
  const page = await context.newPage();
  await page.goto(address('/datacenter'));
  await page.getByRole('treeitem').first().waitFor();
  const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]));
  expect(kept).not.toMatch(/PVE:|:[A-Za-z0-9+/]{40}/);
});
