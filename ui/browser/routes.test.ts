import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, enter, openBrowser, watch } from './harness';

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
  '/datacenter/options',
  '/datacenter/tasks',
  '/guest/101',
  '/guest/101/console',
  '/guest/101/hardware',
  '/guest/101/options',
  '/guest/101/snapshots',
  '/guest/101/tasks',
  '/guest/999',
  '/node/pve1',
  '/node/pve1/guests',
  '/node/pve1/storage',
  '/node/pve1/hardware',
  '/node/pve1/network',
  '/node/pve1/services',
  '/node/pve1/shell',
  '/node/pve1/tasks',
  '/node/pve1/log',
  '/storage/pve1/local',
  '/create',
  '/api',
];
const WIDTHS = [375, 1280, 2560];
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

type Finding = { id: string; impact: string; nodes: { html: string }[] };

let browser: Browser;
let context: BrowserContext;

beforeAll(async () => {
  ({ browser, context } = await openBrowser());
  await (await enter(context)).close();
});
afterAll(() => browser.close());

/** Whether a page, or the part of it that only scrolls down, is wider than its place. */
async function overflow(page: Page): Promise<string | undefined> {
  const wide = await page.evaluate(() => {
    const boxes = [document.documentElement, ...document.querySelectorAll('.body:not(.flush)')];
    return Math.max(...boxes.map((box) => box.scrollWidth - box.clientWidth));
  });
  return wide > 0 ? `${wide} px too wide` : undefined;
}

async function seriousFindings(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: AXE }).catch(() => page.evaluate(() => undefined));
  const findings = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run: () => Promise<{ violations: Finding[] }> };
    };
    return (await axe.run()).violations;
  });
  return findings
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 160)}`);
}

for (const scheme of ['light', 'dark']) {
  it(`every page is whole in ${scheme}`, async () => {
    // axe is put into the page, which its policy refuses.
    const own = await browser.newContext({
      ignoreHTTPSErrors: true,
      bypassCSP: true,
      // A colour halfway through its change has no contrast that counts.
      reducedMotion: 'reduce',
      storageState: await context.storageState(),
    });
    await own.addInitScript((name) => localStorage.setItem('ostler-scheme', name), scheme);
    const page = await own.newPage();
    const errors = watch(page);
    const wrong: string[] = [];
    for (const route of ROUTES) {
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 });
        if (width === WIDTHS[0]) {
          await page.goto(address(route));
          await page.locator('.tn').first().waitFor({ state: 'attached' });
          await page.waitForFunction(() => !document.querySelector('.loading'));
        }
        const wide = await overflow(page);
        if (wide) wrong.push(`${route} at ${width}: ${wide}`);
      }
      wrong.push(...(await seriousFindings(page)).map((finding) => `${route}: ${finding}`));
      wrong.push(...errors.splice(0).map((error) => `${route}: ${error}`));
    }
    await own.close();
    expect(wrong).toEqual([]);
  });
}

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
