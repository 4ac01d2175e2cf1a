import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, enter, openBrowser, watch } from './harness';

// The node has half an hour of history: a quarter of its processors was in use. Five minutes are
// missing.

let browser: Browser;
let page: Page;
let errors: string[];

beforeAll(async () => {
  const opened = await openBrowser();
  browser = opened.browser;
  page = await enter(opened.context);
  errors = watch(page);
});
afterAll(() => browser.close());

const graph = (title: string) => page.getByRole('img', { name: new RegExp(`^${title}\\.`) });
/** What is said of the graph that has the keyboard. */
const said = () => page.locator('.gp .hidden-text').filter({ hasText: /./ });

async function pressUntil(key: string, text: RegExp) {
  for (let n = 0; n < 60; n++) {
    await page.keyboard.press(key);
    if (text.test((await said().textContent()) ?? '')) return;
  }
  throw new Error(`never ${text}: ${await said().textContent()}`);
}

/** For each column of the graph's picture: whether its first line passes there. */
function drawn(of: Locator): Promise<boolean[]> {
  return of.locator('canvas').evaluate((canvas: HTMLCanvasElement) => {
    const look = document.createElement('canvas').getContext('2d');
    const ink = canvas.getContext('2d');
    if (!look || !ink) return [];
    const style = getComputedStyle(document.documentElement);
    look.fillStyle = style.getPropertyValue('--series-1').trim();
    look.fillRect(0, 0, 1, 1);
    const wanted = look.getImageData(0, 0, 1, 1).data;
    const { width, height } = canvas;
    const { data } = ink.getImageData(0, 0, width, height);
    const isLine = (at: number) =>
      (data[at + 3] ?? 0) > 180 &&
      [0, 1, 2].every(
        (channel) => Math.abs((data[at + channel] ?? 0) - (wanted[channel] ?? 0)) < 40,
      );
    return Array.from({ length: width }, (_, x) => {
      for (let y = 0; y < height; y++) if (isLine(4 * (y * width + x))) return true;
      return false;
    });
  });
}

it('a graph says its figures, and the arrow keys move one cursor through all graphs', async () => {
  await page.goto(address('/node/pve1'));
  const cpu = graph('CPU');
  await cpu.waitFor();
  expect(await cpu.getAttribute('aria-label')).toMatch(
    /^CPU\. used: last .*, highest .*\. I\/O wait: .* Arrow keys move the cursor\.$/,
  );
  await cpu.locator('canvas').waitFor();
  await cpu.focus();
  // Newest first: measured now, then recorded, then missing, then recorded again.
  await pressUntil('ArrowLeft', /used 25 %/);
  const time = await page.locator('.gp-time:visible').first().textContent();
  const marks = await page.locator('.gp-time:visible').allTextContents();
  expect(marks.length).toBe(await page.locator('.gp canvas').count());
  expect(new Set(marks)).toEqual(new Set([time]));
  await pressUntil('ArrowLeft', /used unknown/);
  await pressUntil('ArrowLeft', /used 25 %/);
  await page.keyboard.press('Home');
  await expect.poll(() => said().textContent()).toMatch(/used unknown/);
  await page.keyboard.press('Escape');
  await expect.poll(() => said().count()).toBe(0);
});

it('what was not recorded is a gap in the line', async () => {
  const columns = await drawn(graph('CPU'));
  const [first, last] = [columns.indexOf(true), columns.lastIndexOf(true)];
  const inside = columns.slice(first, last);
  const longest = inside
    .map((has) => (has ? ' ' : '-'))
    .join('')
    .split(' ')
    .reduce((most, gap) => Math.max(most, gap.length), 0);
  // Five minutes of an hour, and not much more.
  expect(longest).toBeGreaterThan(columns.length / 24);
  expect(longest).toBeLessThan(columns.length / 6);
});

it('another range is asked for and said, and one without history says so', async () => {
  const range = page.getByRole('region', { name: 'Time range' });
  const answer = page.waitForResponse(/rrddata\?timeframe=day&cf=AVERAGE/);
  await range.getByRole('button', { name: 'Day' }).click();
  expect((await answer).status()).toBe(200);
  await page.getByText('one point per 1 min').waitFor();
  await graph('CPU').waitFor();
  const highest = page.waitForResponse(/rrddata\?timeframe=day&cf=MAX/);
  await range.getByRole('button', { name: 'Maximum' }).click();
  await highest;
  await range.getByRole('button', { name: 'Year' }).click();
  await page.getByText('Nothing was recorded in this time').first().waitFor();
  expect(errors).toEqual([]);
});
