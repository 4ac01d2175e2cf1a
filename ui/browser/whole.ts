/** What makes a page whole: no error, nothing wider than its place, no serious finding of axe. */

import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { address, watch } from './harness';

const WIDTHS = [375, 1280, 2560];
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

type Finding = { id: string; impact: string; nodes: { html: string }[] };

/** Whether a page, or the part of it that only scrolls down, is wider than its place. */
export async function overflow(page: Page): Promise<string | undefined> {
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

/** What is wrong with pages in a colour scheme, at all widths. */
export async function wrongOf(
  browser: Browser,
  context: BrowserContext,
  scheme: string,
  routes: string[],
  /** Errors that are no fault of a page: a node without ZFS has no pools to tell of. */
  isAllowed: (error: string) => boolean = () => false,
): Promise<string[]> {
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
  for (const route of routes) {
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
    wrong.push(
      ...errors
        .splice(0)
        .filter((error) => !isAllowed(error))
        .map((error) => `${route}: ${error}`),
    );
  }
  await own.close();
  return wrong;
}

export const SCHEMES = ['light', 'dark'];
