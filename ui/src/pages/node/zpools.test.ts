import { expect, it } from 'vitest';
import {
  addRequest,
  type Device,
  groupsOf,
  type PoolChange,
  pauseOf,
  placedDevices,
  poolRequest,
  type Scan,
  scrubsOf,
  stepsOf,
  textOfScan,
  verbOf,
} from './zpools';

const disk = (name: string, state = 'ONLINE', guid?: string): Device => ({ name, state, guid });
const group = (name: string, ...children: Device[]): Device => ({ name, children });

const DEVICES: Device[] = [
  group(
    'tank',
    group('mirror-0', disk('sda'), disk('77', 'UNAVAIL', '77')),
    group('mirror-1', group('replacing-0', disk('sdc', 'OFFLINE'), disk('sdd')), disk('sde')),
    group('raidz1-2', disk('sdf'), disk('sdg'), disk('sdh')),
    disk('sdi'),
  ),
  group('logs', disk('sdj')),
  group('cache', disk('sdk')),
  group('spares', disk('sda')),
];

it('the devices of a pool are a tree, and names may repeat in it', () => {
  const placed = placedDevices(DEVICES);
  const lines = placed.map(({ device, depth }) => `${depth} ${device.name}`);
  expect(lines.slice(0, 6)).toEqual([
    '0 tank',
    '1 mirror-0',
    '2 sda',
    '2 77',
    '1 mirror-1',
    '2 replacing-0',
  ]);
  expect(lines.slice(-2)).toEqual(['0 spares', '1 sda']);
  expect(new Set(placed.map(({ key }) => key)).size).toBe(placed.length);
});

it('a device is offered what can be done to it where it is', () => {
  const steps = placedDevices(DEVICES).map((placed): [string, string] => [
    `${placed.top}/${placed.device.name}`,
    stepsOf(placed, 'tank').join(' '),
  ]);
  expect(Object.fromEntries(steps)).toEqual({
    'tank/tank': '',
    'tank/mirror-0': '',
    // The last whole one is not taken out.
    'tank/sda': 'attach replace online',
    'tank/77': 'replace detach online',
    'tank/mirror-1': '',
    'tank/replacing-0': '',
    'tank/sdc': 'replace detach online',
    'tank/sdd': 'replace online',
    'tank/sde': 'attach replace online',
    'tank/raidz1-2': '',
    'tank/sdf': 'replace online',
    'tank/sdg': 'replace online',
    'tank/sdh': 'replace online',
    'tank/sdi': 'attach replace online',
    'logs/logs': '',
    'logs/sdj': 'replace online',
    'cache/cache': '',
    'cache/sdk': '',
    'spares/spares': '',
    'spares/sda': '',
  });
});

const scan = (more: Partial<Scan>): Scan => ({ kind: 'scrub', state: 'finished', at: 5, ...more });

it('a scrub is started, paused and stopped where that makes sense', () => {
  const of = (one?: Scan) => scrubsOf(one).join(' ');
  expect(of()).toBe('start');
  expect(of(scan({}))).toBe('start');
  expect(of(scan({ state: 'canceled' }))).toBe('start');
  expect(of(scan({ state: 'running' }))).toBe('pause stop');
  expect(of(scan({ state: 'paused' }))).toBe('start stop');
  expect(of(scan({ kind: 'resilver', state: 'running' }))).toBe('');
  expect(of(scan({ kind: 'resilver' }))).toBe('start');
});

it('a scan says how it ended, or since when it runs', () => {
  const of = (one?: Scan) => textOfScan(one, (at) => `T${at}`);
  expect(of()).toBe('none yet');
  expect(of(scan({ errors: 0, repaired: '0B' }))).toBe('scrub ended T5, no errors');
  expect(of(scan({ errors: 2, repaired: '12K' }))).toBe(
    'scrub ended T5, 2 errors are left, 12K written anew',
  );
  expect(of(scan({ kind: 'resilver', state: 'running', progress: 4, repaired: '1G' }))).toBe(
    'resilver runs since T5, 1G written anew',
  );
  expect(of(scan({ state: 'canceled' }))).toBe('scrub canceled T5');
});

it('a change is one request, with the lasting name of the device', () => {
  const of = (change: PoolChange, given = {}) => {
    const { method, address, params } = poolRequest('a b', change, given);
    return [method, address, JSON.parse(JSON.stringify(params))];
  };
  const at = (step: string) => `/ostler/nodes/a%20b/pools/tank/${step}`;
  const pool = 'tank';
  const lost = disk('/dev/sdc1', 'UNAVAIL', '77');
  expect(of({ kind: 'scrub', pool, action: 'stop' })).toEqual([
    'POST',
    at('scrub'),
    { action: 'stop' },
  ]);
  expect(of({ kind: 'clear', pool })).toEqual(['POST', at('clear'), {}]);
  const given = { disk: '/dev/sdd', expand: true };
  expect(of({ kind: 'replace', pool, device: lost }, given)).toEqual([
    'POST',
    at('replace'),
    { device: '77', new: '/dev/sdd' },
  ]);
  expect(of({ kind: 'attach', pool, device: disk('/dev/sda1') }, given)).toEqual([
    'POST',
    at('attach'),
    { device: '/dev/sda1', new: '/dev/sdd' },
  ]);
  expect(of({ kind: 'detach', pool, device: lost }, given)[2]).toEqual({ device: '77' });
  expect(of({ kind: 'online', pool, device: lost })[2]).toEqual({ device: '77' });
  expect(of({ kind: 'online', pool, device: lost }, given)[2]).toEqual({
    device: '77',
    expand: 1,
  });
});

it('disks are added by the request that has shown the plan', () => {
  const values = { raidlevel: '', force: '1' };
  const of = (isDry: boolean) => addRequest('a', 'tank', ['/dev/sdb', '/dev/sdc'], values, isDry);
  expect(of(true)).toEqual({
    method: 'POST',
    address: '/ostler/nodes/a/pools/tank/add',
    params: { devices: '/dev/sdb,/dev/sdc', force: '1', 'dry-run': 1 },
  });
  expect(of(false).params).toEqual({ ...of(true).params, 'dry-run': 0 });
});

it('a layout is shown group by group', () => {
  expect(groupsOf(['mirror', '/a', '/b', 'mirror', '/c', '/d'])).toEqual([
    'mirror: /a, /b',
    'mirror: /c, /d',
  ]);
  expect(groupsOf(['/a', '/b'])).toEqual(['/a', '/b']);
});

it('a change is called what it does', () => {
  const start = { kind: 'scrub', pool: 'tank', action: 'start' } as const;
  expect(verbOf(start)).toBe('Scrub');
  expect(verbOf({ ...start, isPaused: true })).toBe('Continue scrub');
  expect(verbOf({ ...start, isPaused: true, action: 'stop' })).toBe('Stop scrub');
  const online = { kind: 'online', pool: 'tank' } as const;
  expect(verbOf({ ...online, device: disk('a', 'OFFLINE') })).toBe('Bring online');
  expect(verbOf({ ...online, device: disk('a') })).toBe('Use gained room');
});

it('a pool that is read all over is looked at often, one that did not answer is not', () => {
  const pool = (one?: Scan) => ({
    name: 'tank',
    size: 1,
    alloc: 0,
    frag: 0,
    dedup: 1,
    compressratio: 1,
    health: 'ONLINE',
    errors: '',
    scan: one,
  });
  expect(pauseOf([pool(), pool(scan({ state: 'running' }))])).toBe(2000);
  expect(pauseOf([pool(), pool(scan({}))])).toBe(20_000);
  expect(pauseOf(undefined)).toBe(false);
});
