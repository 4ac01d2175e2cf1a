/** What a guest is made of, line by line, for its summary. */

import type { ReactNode } from 'react';
import { KINDS } from '../../actions/kinds';
import type { GuestAdmission } from '../../api/admission';
import type { Guest } from '../../api/resources';
import { bytes, plain } from '../../format';
import { t } from '../../texts';
import { propertiesOf } from './config';

export type Status = {
  qmpstatus?: string;
  'running-machine'?: string;
  'running-qemu'?: string;
  pid?: number;
  agent?: number;
  disk?: number;
  maxdisk?: number;
  swap?: number;
  maxswap?: number;
  ha?: { managed?: number; state?: string };
};

/** A link inside of a container, with its addresses. */
export type Link = { name: string; inet?: string; inet6?: string };

type Rows = [string, ReactNode][];
type Config = Map<string, string>;

const MIB = 2 ** 20;
const NETS = /^net\d+$/;
const { fact, yes, no } = t.guestPage;

/** `scsi0` 32G local: the key, then what a glance wants of the value. */
function deviceLines(config: Config, keys: RegExp, words: (text: string) => string) {
  const lines = [...config].filter(([key]) => keys.test(key));
  if (lines.length === 0) return t.none;
  return lines.map(([key, value]) => (
    <div key={key} className="trunc" title={value}>
      <span className="mono">{key}</span> <span className="t2">{plain(words(value))}</span>
    </div>
  ));
}

/** `20240K` as `20 MiB`. */
function sizeWords(size: string): string {
  const [, number, unit = ''] = /^([\d.]+)([KMGT]?)$/.exec(size) ?? [];
  if (number === undefined) return size;
  return bytes(Number(number) * 1024 ** ['', 'K', 'M', 'G', 'T'].indexOf(unit));
}

/** Size or kind, storage, and the path of a mount point. */
export function diskWords(text: string, volume: string) {
  const properties = new Map(propertiesOf(text, volume));
  const [store = ''] = (properties.get(volume) ?? '').split(':');
  const media = properties.get('media') === 'cdrom' ? 'CD' : undefined;
  const size = properties.get('size');
  return [size ? sizeWords(size) : media, store, properties.get('mp')].filter(Boolean).join(', ');
}

/** Model or name, bridge, VLAN, and the addresses of a container. */
export function netWords(text: string) {
  const properties = new Map(propertiesOf(text));
  const [model] = [...properties.keys()];
  const tag = properties.get('tag');
  return [
    properties.get('name') ?? model,
    properties.get('bridge'),
    tag && `VLAN ${tag}`,
    properties.get('ip'),
    properties.get('ip6'),
  ]
    .filter(Boolean)
    .join(', ');
}

function shared(guest: Guest, config: Config, status: Status): Rows {
  const rows: Rows = [
    [
      fact.disk,
      deviceLines(config, KINDS[guest.type].disks, (text) =>
        diskWords(text, KINDS[guest.type].volume),
      ),
    ],
    [fact.network, deviceLines(config, NETS, netWords)],
    [fact.boot, config.get('onboot') === '1' ? yes : no],
  ];
  if (status.ha?.managed) rows.push([fact.ha, status.ha.state ?? yes]);
  if (status['running-qemu']) rows.push(['QEMU', status['running-qemu']]);
  if (status.pid) rows.push([fact.pid, status.pid]);
  return rows;
}

export function vmFacts(guest: Guest, config: Config, status: Status): Rows {
  const sockets = Number(config.get('sockets') ?? 1);
  const [machine = '', bios = ''] = [config.get('machine') ?? '', config.get('bios') ?? 'seabios'];
  const agent = config.get('agent');
  return [
    [fact.guest, [machine || status['running-machine'], bios].filter(Boolean).join(', ')],
    [fact.system, config.get('ostype') ?? 'other'],
    [fact.agent, agent && !agent.startsWith('0') ? t.guestPage.agentOn : t.guestPage.agentOff],
    [
      fact.processors,
      `${guest.maxcpu ?? 1} ${t.guestPage.sockets(sockets, config.get('cpu')?.split(',')[0] ?? 'kvm64')}`,
    ],
    [fact.memory, bytes(guest.maxmem ?? 0)],
    ...shared(guest, config, status),
  ];
}

/** The part of a limit that is used now, as far as it is known. */
const usedOf = (used: number | undefined, limit: number) =>
  used === undefined || limit <= 0 ? bytes(limit) : `${bytes(used)} ${t.of} ${bytes(limit)}`;

function addressLines(links: Link[]) {
  const shown = links.filter(({ name }) => name !== 'lo');
  if (shown.length === 0) return t.none;
  return shown.map(({ name, inet, inet6 }) => (
    <div key={name}>
      <span className="mono">{plain(name)}</span>{' '}
      <span className="t2">{[inet, inet6].filter(Boolean).join(', ') || t.none}</span>
    </div>
  ));
}

export function containerFacts(
  guest: Guest,
  config: Config,
  status: Status,
  links: Link[] | undefined,
): Rows {
  const isUnprivileged = config.get('unprivileged') === '1';
  const limit = Number(config.get('cpulimit') ?? 0);
  const cores = config.get('cores');
  const isOn = guest.status !== 'stopped';
  const swap = Number(config.get('swap') ?? 512) * MIB;
  const rows: Rows = [
    [
      fact.system,
      [config.get('ostype'), config.get('arch')].filter(Boolean).join(', ') || t.unknown,
    ],
    [fact.unprivileged, isUnprivileged ? yes : no],
    [fact.hostname, plain(config.get('hostname') ?? '') || t.none],
    [
      fact.processors,
      [
        cores ? t.guestPage.cores(Number(cores)) : t.guestPage.allCores,
        limit > 0 && t.guestPage.cpuLimit(limit),
      ]
        .filter(Boolean)
        .join(', '),
    ],
    [fact.memory, usedOf(isOn ? guest.mem : undefined, guest.maxmem ?? 0)],
    [fact.swap, usedOf(isOn ? status.swap : undefined, status.maxswap ?? swap)],
  ];
  if (isOn && status.disk !== undefined) {
    rows.push([fact.root, usedOf(status.disk, status.maxdisk ?? 0)]);
  }
  if (links) rows.push([fact.addresses, addressLines(links)]);
  if (config.get('features')) rows.push([fact.features, config.get('features')]);
  return [...rows, ...shared(guest, config, status)];
}

/** Whether a guest that does not run has room on its node. */
export function roomFacts(room: GuestAdmission | undefined): Rows {
  if (!room) return [];
  const { needs, memory, mode, reason, overcommits } = room;
  const most = memory.limit ?? memory.total - memory.reserve;
  const figures = t.admission.needs(bytes(needs.memory), bytes(memory.free), bytes(most));
  const text = overcommits ? `${figures}. ${t.admission.overcommits}` : figures;
  const tone = reason && mode === 'refuse' ? 't-error' : reason || overcommits ? 't-warning' : '';
  return [
    [
      t.admission.room,
      <span key="room" className={tone}>
        {plain(reason ?? text)}
      </span>,
    ],
  ];
}
