/** What a small server with some disks answers, for pictures: the machine of the tests is bare. */

import type { Page } from 'playwright-core';

const GIB = 2 ** 30;
const TIB = 2 ** 40;

const module_ = (slot: string, serial: string) => ({
  slot,
  size: 32 * GIB,
  type: 'DDR5',
  speed: 4800,
  ecc: true,
  vendor: 'Example',
  part: 'E5-4800-32',
  serial,
});

const MACHINE = {
  system: {
    vendor: 'Example',
    model: 'Tower 5',
    serial: 'T5-0001',
    board: 'Example B680',
    'board-serial': 'B680-0001',
  },
  cpu: {
    model: 'Example 16 Core Processor',
    sockets: 1,
    cores: 16,
    threads: 24,
    performance: '0-15',
    efficiency: '16-23',
    'max-mhz': 5400,
  },
  memory: [
    module_('DIMM_A1', '0A01'),
    { slot: 'DIMM_A2' },
    module_('DIMM_B1', '0A02'),
    { slot: 'DIMM_B2' },
  ],
  numa: [{ node: 0, cpus: '0-23', memory: 62.6 * GIB, free: 21.2 * GIB }],
  controllers: [
    {
      address: '0000:00:14.0',
      kind: 'USB',
      name: 'Example USB 3.2 controller',
      driver: 'xhci_hcd',
      attached: ['USB 1-3 Zigbee stick'],
    },
    {
      address: '0000:00:17.0',
      kind: 'SATA',
      name: 'Example SATA controller',
      driver: 'ahci',
      attached: ['sda', 'sdb'],
    },
    {
      address: '0000:01:00.0',
      kind: 'NVMe',
      name: 'Example NVMe disk',
      driver: 'nvme',
      attached: ['nvme0n1'],
    },
    {
      address: '0000:02:00.0',
      kind: 'network',
      name: 'Example 2.5 GbE controller',
      driver: 'igc',
      attached: ['enp2s0'],
    },
    {
      address: '0000:03:00.0',
      kind: 'network',
      name: 'Example 10 GbE controller',
      driver: 'ixgbe',
      attached: ['enp3s0f0', 'enp3s0f1'],
    },
  ],
  disks: [
    {
      name: 'nvme0n1',
      model: 'Example N2',
      serial: 'N2-0007',
      size: 1.8 * TIB,
      rotational: false,
      controller: '0000:01:00.0',
    },
    {
      name: 'sda',
      model: 'Example H8',
      serial: 'H8-0021',
      size: 7.3 * TIB,
      rotational: true,
      controller: '0000:00:17.0',
    },
    {
      name: 'sdb',
      model: 'Example H8',
      serial: 'H8-0022',
      size: 7.3 * TIB,
      rotational: true,
      controller: '0000:00:17.0',
    },
  ],
  ports: [
    { name: 'enp2s0', driver: 'igc', address: '02:00:00:00:02:00', link: true, speed: 2500 },
    {
      name: 'enp3s0f0',
      driver: 'ixgbe',
      address: '02:00:00:00:03:00',
      link: true,
      speed: 10000,
      use: 'vmbr0',
    },
    { name: 'enp3s0f1', driver: 'ixgbe', address: '02:00:00:00:03:01', link: false },
  ],
  firmware: [
    { of: 'BIOS', version: '2.14, 01/31/2026' },
    { of: 'microcode', version: '0x12b' },
    { of: 'nvme0n1', version: '4B2QJ' },
    { of: 'enp3s0f0', version: '0x800018a5' },
  ],
  time: {
    synchronised: true,
    by: 'chrony',
    source: 'ntp.example.com',
    'offset-s': 0.000012,
  },
};

const spinning = (devpath: string, serial: string) => ({
  devpath,
  model: 'Example H8',
  serial,
  size: 7.3 * TIB,
  type: 'hdd',
  rpm: 7200,
  gpt: 1,
  used: 'partitions',
  health: 'PASSED',
  wearout: 'N/A',
});

const DISKS: Record<string, unknown> = {
  list: [
    {
      devpath: '/dev/nvme0n1',
      model: 'Example N2',
      serial: 'N2-0007',
      size: 1.8 * TIB,
      type: 'nvme',
      rpm: 0,
      gpt: 1,
      used: 'partitions',
      health: 'PASSED',
      wearout: 88,
    },
    { devpath: '/dev/nvme0n1p1', parent: '/dev/nvme0n1', size: GIB, used: 'EFI' },
    { devpath: '/dev/nvme0n1p2', parent: '/dev/nvme0n1', size: 1.8 * TIB, used: 'LVM' },
    spinning('/dev/sda', 'H8-0021'),
    { devpath: '/dev/sda1', parent: '/dev/sda', size: 7.3 * TIB, used: 'ZFS' },
    spinning('/dev/sdb', 'H8-0022'),
    { devpath: '/dev/sdb1', parent: '/dev/sdb', size: 7.3 * TIB, used: 'ZFS' },
  ],
  lvm: {
    leaf: 0,
    children: [
      {
        name: 'vg0',
        size: 1.8 * TIB,
        free: 0.1 * TIB,
        lvcount: 9,
        children: [{ name: '/dev/nvme0n1p2' }],
      },
    ],
  },
  lvmthin: [
    {
      lv: 'data',
      vg: 'vg0',
      lv_size: 1.6 * TIB,
      used: 0.62 * TIB,
      metadata_size: 16 * GIB,
      metadata_used: 1.3 * GIB,
    },
  ],
  directory: [],
};

const TANK = {
  name: 'tank',
  size: 7.3 * TIB,
  alloc: 2.9 * TIB,
  free: 4.4 * TIB,
  used: 39.73,
  frag: 7,
  dedup: 1,
  compressratio: 1.4,
  health: 'ONLINE',
  errors: 'No known data errors',
  scan: { kind: 'scrub', state: 'finished', at: 1_793_492_642, errors: 0, repaired: '0B' },
};

const online = (name: string, guid: string, children?: unknown[]) => ({
  name,
  guid,
  state: 'ONLINE',
  read: 0,
  write: 0,
  checksum: 0,
  children,
});

const POOLS: Record<string, unknown> = {
  pools: [TANK],
  'pools/tank': {
    ...TANK,
    devices: [
      online('tank', '1', [
        online('mirror-0', '2', [online('/dev/sda1', '3'), online('/dev/sdb1', '4')]),
      ]),
    ],
  },
};

/** Answers for the node what is asked about its machine, its disks and its pools. */
export async function beHomeServer(page: Page) {
  const answers = (url: string) => {
    const { pathname } = new URL(url);
    if (pathname.endsWith('/hardware')) return MACHINE;
    const [, pool] = /\/(pools.*)$/.exec(pathname) ?? [];
    return pool ? POOLS[pool] : DISKS[pathname.split('/disks/')[1] ?? ''];
  };
  for (const path of [
    'ostler/hardware?**',
    'nodes/*/disks/**',
    'ostler/nodes/*/pools',
    'ostler/nodes/*/pools/*',
  ]) {
    await page.route(`**/api2/json/${path}`, (route) =>
      route.fulfill({ json: { data: answers(route.request().url()) } }),
    );
  }
}
