import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { address, enter, openBrowser } from './harness';

const GIB = 2 ** 30;
let browser: Browser;
let page: Page;

/** What a node with more disks than this machine answers, in the shape of the operations. */
const ANSWERS: Record<string, unknown> = {
  list: [
    {
      devpath: '/dev/sda',
      model: 'Disk of the test',
      serial: 'S1',
      size: 100 * GIB,
      type: 'ssd',
      rpm: 0,
      gpt: 1,
      used: 'partitions',
      health: 'PASSED',
      wearout: 93,
    },
    { devpath: '/dev/sda1', parent: '/dev/sda', size: GIB, used: 'EFI' },
    { devpath: '/dev/sda2', parent: '/dev/sda', size: 99 * GIB, used: 'ZFS' },
    { devpath: '/dev/sdb', size: GIB, type: 'hdd', rpm: 7200, health: 'FAILED!', wearout: 'N/A' },
  ],
  smart: {
    health: 'PASSED',
    type: 'ata',
    attributes: [
      {
        id: '  5',
        name: 'Reallocated_Sector_Ct',
        value: 1,
        worst: 1,
        threshold: 10,
        fail: 'now',
        raw: '12',
      },
    ],
  },
  zfs: [
    {
      name: 'tank',
      size: 100 * GIB,
      alloc: 40 * GIB,
      free: 60 * GIB,
      frag: 7,
      dedup: 1,
      compressratio: 1.8,
      health: 'DEGRADED',
    },
  ],
  'zfs/tank': {
    name: 'tank',
    state: 'DEGRADED',
    status: 'One of its devices is gone.',
    errors: 'No known data errors',
    children: [
      {
        name: 'tank',
        state: 'DEGRADED',
        msg: '',
        children: [
          {
            name: 'mirror-0',
            state: 'DEGRADED',
            msg: '',
            children: [
              { name: 'sda2', state: 'ONLINE', read: 0, write: 0, cksum: 0, msg: '' },
              { name: 'sdc', state: 'UNAVAIL', read: 3, write: 0, cksum: 1, msg: 'was /dev/sdc' },
            ],
          },
        ],
      },
    ],
  },
  lvm: {
    leaf: 0,
    children: [
      {
        name: 'vg0',
        size: 100 * GIB,
        free: 25 * GIB,
        lvcount: 3,
        children: [{ name: '/dev/sdd' }],
      },
    ],
  },
  lvmthin: [
    {
      lv: 'data',
      vg: 'vg0',
      lv_size: 60 * GIB,
      used: 30 * GIB,
      metadata_size: GIB,
      metadata_used: 0.95 * GIB,
    },
  ],
  directory: [],
};

beforeAll(async () => {
  const opened = await openBrowser();
  browser = opened.browser;
  page = await enter(opened.context);
  await page.goto(address('/node/pve1/disks'));
});
afterAll(() => browser.close());

it('the disks of this machine are shown, with who uses them', async () => {
  const answer = await page.request.get(address('/api2/json/nodes/pve1/disks/list'));
  const { data } = (await answer.json()) as { data: { devpath: string }[] };
  const panel = page.locator('.panel', { hasText: 'Disks' }).first();
  if (data.length === 0) await panel.getByText('The node has no disk.').waitFor();
  for (const { devpath } of data) {
    await panel.getByRole('button', { name: devpath, exact: true }).click();
    const drawer = page.getByRole('dialog', { name: devpath });
    await drawer.getByRole('heading', { name: 'SMART' }).waitFor();
    await page.keyboard.press('Escape');
    await drawer.waitFor({ state: 'detached' });
  }
});

it('wear, pools that fill and a degraded mirror are seen', async () => {
  await page.route('**/api2/json/nodes/pve1/disks/**', async (route) => {
    const { pathname } = new URL(route.request().url());
    const data = ANSWERS[pathname.split('/disks/')[1] ?? ''];
    await route.fulfill({ json: { data } });
  });
  await page.reload();
  const row = (name: string) => page.getByRole('row', { name: new RegExp(`^${name}`) });
  await row('/dev/sda').getByText('EFI, ZFS').waitFor();
  const meter = (of: string, label: string) =>
    row(of).getByRole('meter', { name: label, exact: true });
  expect(await meter('/dev/sda', 'Worn').getAttribute('aria-valuenow')).toBe('7');
  await row('/dev/sdb').getByText('failed!').waitFor();
  expect(await row('/dev/sda1').count()).toBe(0);
  await row('tank').getByText('degraded').waitFor();
  await row('tank').getByText('1.8 ×').waitFor();
  expect(await meter('vg0/data', 'Data').getAttribute('aria-valuenow')).toBe('50');
  expect(await meter('vg0/data', 'Metadata').getAttribute('aria-valuenow')).toBe('95');
  expect(await meter('vg0 ', 'Used').getAttribute('aria-valuenow')).toBe('75');

  await page.getByRole('button', { name: '/dev/sda', exact: true }).click();
  const disk = page.getByRole('dialog', { name: '/dev/sda' });
  await disk.getByRole('row', { name: /Reallocated_Sector_Ct.*now.*12/ }).waitFor();
  await disk.getByRole('row', { name: '/dev/sda2' }).waitFor();
  await page.keyboard.press('Escape');

  await page.getByRole('button', { name: 'tank', exact: true }).click();
  const pool = page.getByRole('dialog', { name: 'tank' });
  await pool.getByText('One of its devices is gone.').waitFor();
  const lost = pool.getByRole('listitem').filter({ hasText: 'sdc' });
  await lost.getByText('errors: 3 read, 0 write, 1 checksum').waitFor();
  await lost.getByText('unavail').waitFor();
});
