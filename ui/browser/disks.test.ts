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

const TANK = {
  name: 'tank',
  size: 100 * GIB,
  alloc: 40 * GIB,
  free: 60 * GIB,
  used: 40,
  frag: 7,
  dedup: 1,
  compressratio: 1.8,
  health: 'DEGRADED',
  errors: 'No known data errors',
  status: 'One of its devices is gone.',
  scan: { kind: 'scrub', state: 'running', at: 1_793_492_642, progress: 25, repaired: '0B' },
};
const LEAF = { read: 0, write: 0, checksum: 0 };
/** The same of its pools. */
const POOLS: Record<string, unknown> = {
  '': [TANK],
  '/tank': {
    ...TANK,
    devices: [
      {
        name: 'tank',
        state: 'DEGRADED',
        guid: '1',
        children: [
          {
            name: 'mirror-0',
            state: 'DEGRADED',
            guid: '2',
            children: [
              { ...LEAF, name: '/dev/sda2', state: 'ONLINE', guid: '3' },
              {
                name: '4',
                state: 'UNAVAIL',
                guid: '4',
                read: 3,
                write: 0,
                checksum: 1,
                message: 'was /dev/sdc1',
              },
            ],
          },
        ],
      },
    ],
  },
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
  await page.route(/\/ostler\/nodes\/pve1\/pools/, async (route) => {
    const { pathname } = new URL(route.request().url());
    await route.fulfill({ json: { data: POOLS[pathname.split('/pools')[1] ?? ''] } });
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
  expect(
    await pool.getByRole('meter', { name: 'Progress' }).first().getAttribute('aria-valuenow'),
  ).toBe('25');
  const lost = pool.getByRole('listitem').filter({ hasText: 'sdc' });
  await lost.getByText('errors: 3 read, 0 write, 1 checksum').waitFor();
  await lost.getByText('unavail').waitFor();
});

type Row = { method: string; path: string; name: string; params: unknown[] };

const text = (name: string, more = {}) => ({ name, type: 'string', ...more });
const MADE = ['directory', 'lvm', 'lvmthin', 'zfs'];
/** What changes disks, in the shape of the table. */
const CHANGES: Row[] = [
  ...MADE.map((made) => ({
    method: 'POST',
    path: `/nodes/{node}/disks/${made}`,
    name: `disk_${made}_create`,
    params: [
      text('name'),
      text('device'),
      text('filesystem', { enum: ['ext4', 'xfs'], default: 'ext4', optional: 1 }),
      text('raidlevel', { enum: ['single', 'mirror', 'raid10'] }),
      { name: 'add_storage', type: 'boolean', default: '0', optional: 1 },
    ].filter(({ name }) => name !== 'raidlevel' || made === 'zfs'),
  })),
  ...MADE.map((made) => ({
    method: 'DELETE',
    path: `/nodes/{node}/disks/${made}/{name}`,
    name: `disk_${made}_delete`,
    params: [],
  })),
  { method: 'POST', path: '/nodes/{node}/disks/initgpt', name: 'disk_initgpt', params: [] },
  { method: 'PUT', path: '/nodes/{node}/disks/wipedisk', name: 'disk_wipe', params: [] },
];

/** Opens the page at a node that offers these changes of disks. */
async function openWith(changes: Row[]) {
  const answer = await page.request.get(address('/pve-docs/api-viewer/operations.json'));
  const table = (await answer.json()) as Row[];
  const isOther = ({ method, path }: Row) => method === 'GET' || !path.includes('/disks/');
  const json = [...table.filter(isOther), ...changes];
  await page.unroute('**/operations.json');
  await page.route('**/operations.json', (route) => route.fulfill({ json }));
  await page.reload();
  await page.getByRole('button', { name: '/dev/sdb', exact: true }).waitFor();
}

it('what the node does not offer to change is not there', async () => {
  await openWith([]);
  await page.getByRole('button', { name: '/dev/sda', exact: true }).click();
  await page.getByRole('dialog', { name: '/dev/sda' }).getByText('Partitions').waitFor();
  const changes = page.getByRole('button', { name: /^(Add|Wipe|Destroy|Make)/ });
  expect(await changes.count()).toBe(0);
});

it('disks are changed after their name is typed, and the request is shown before', async () => {
  const sent: string[] = [];
  await openWith(CHANGES);
  await page.route(/nodes\/pve1\/disks\/(?!.*smart)/, async (route) => {
    const request = route.request();
    if (request.method() === 'GET') return route.fallback();
    const { pathname, search } = new URL(request.url());
    sent.push(`${request.method()} ${pathname.split('/disks/')[1]}${search} ${request.postData()}`);
    await route.fulfill({ json: { data: null } });
  });
  const dialog = page.getByRole('dialog');
  const press = (name: string) => dialog.getByRole('button', { name, exact: true }).click();

  await page.getByRole('button', { name: '/dev/sdb', exact: true }).click();
  await press('Wipe');
  const wipe = page.getByRole('dialog', { name: 'Wipe /dev/sdb' });
  await wipe.getByText('PUT /api2/json/nodes/pve1/disks/wipedisk').waitFor();
  const confirm = wipe.getByRole('button', { name: 'Wipe', exact: true });
  expect(await confirm.isDisabled()).toBe(true);
  await wipe.getByLabel('Type /dev/sdb to confirm').fill('/dev/sdb');
  await confirm.click();
  await wipe.waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Add pool of ZFS' }).click();
  await dialog.getByRole('textbox', { name: 'Name' }).fill('fast');
  await dialog.getByRole('combobox', { name: 'Redundancy' }).click();
  await page.getByRole('option', { name: 'mirror' }).click();
  await dialog.getByLabel(/^\/dev\/sdb/).check();
  await dialog.getByText('2 disks are needed').waitFor();
  expect(await dialog.getByRole('button', { name: 'Add', exact: true }).isDisabled()).toBe(true);
  expect(await dialog.getByLabel(/^\/dev\/sda/).count()).toBe(0);
  await dialog.getByRole('combobox', { name: 'Redundancy' }).click();
  await page.getByRole('option', { name: 'single' }).click();
  await dialog.getByText('pvesh create /nodes/pve1/disks/zfs').waitFor();
  await press('Add');
  await dialog.waitFor({ state: 'detached' });

  await page.getByRole('button', { name: 'Destroy data' }).click();
  await dialog.getByText('pvesh delete /nodes/pve1/disks/lvmthin/data').waitFor();
  await dialog.getByLabel('Wipe its disks, to use them again').check();
  await dialog.getByLabel('Type data to confirm').fill('data');
  await press('Destroy');
  await dialog.waitFor({ state: 'detached' });
  expect(sent).toEqual([
    'PUT wipedisk disk=%2Fdev%2Fsdb',
    'POST zfs name=fast&raidlevel=single&add_storage=1&devices=%2Fdev%2Fsdb',
    'DELETE lvmthin/data?volume-group=vg0&cleanup-config=1&cleanup-disks=1 null',
  ]);
});

it('a pool is scrubbed, repaired and grown, and the plan comes first', async () => {
  const sent: string[] = [];
  const plan = {
    layout: ['mirror', '/dev/sdb', '/dev/sdd'],
    size: 100 * GIB,
    'size-after': 200 * GIB,
    warnings: ['the pool is made of mirror groups of 2, not of single'],
  };
  await page.route('**/ostler/nodes/pve1/pools/tank/*', async (route) => {
    const request = route.request();
    const step = new URL(request.url()).pathname.split('/tank/')[1];
    sent.push(`${request.method()} ${step} ${request.postData()}`);
    await route.fulfill({ json: { data: step === 'add' ? plan : null } });
  });
  await page.reload();
  await page.getByRole('button', { name: 'tank', exact: true }).click();
  const pool = page.getByRole('dialog', { name: 'tank', exact: true });
  const dialog = (name: string) => page.getByRole('dialog', { name });
  const press = (title: string, name: string) =>
    dialog(title).getByRole('button', { name, exact: true }).click();

  await pool.getByRole('button', { name: 'Stop scrub' }).click();
  await dialog('Stop scrub: tank').getByText('action=stop').waitFor();
  await press('Stop scrub: tank', 'Stop scrub');

  // The drawer is back after each dialog.
  await pool.getByRole('button', { name: 'Actions for 4' }).click();
  await page.getByRole('menuitem', { name: 'Replace' }).click();
  const replace = dialog('Replace: 4, tank');
  await replace.getByRole('combobox', { name: 'New disk' }).click();
  await page.getByRole('option', { name: /^.dev.sdb/ }).click();
  await replace.getByText('device=4').waitFor();
  await press('Replace: 4, tank', 'Replace');

  await pool.getByRole('button', { name: 'Add disks' }).click();
  const add = dialog('Add disks: tank');
  await add.getByLabel(/^.dev.sdb/).check();
  const submit = add.getByRole('button', { name: 'Add disks', exact: true });
  expect(await submit.isDisabled()).toBe(true);
  await press('Add disks: tank', 'Show plan');
  await add.getByText('mirror: /dev/sdb, /dev/sdd').waitFor();
  await add.getByText('Size: 100 GiB now, 200 GiB then').waitFor();
  await add.getByText('dry-run=0').waitFor();
  await submit.click();
  await add.waitFor({ state: 'detached' });
  expect(sent).toEqual([
    'POST scrub action=stop',
    'POST replace device=4&new=%2Fdev%2Fsdb',
    'POST add devices=%2Fdev%2Fsdb&dry-run=1',
    'POST add devices=%2Fdev%2Fsdb&dry-run=0',
  ]);
});
