/** Which graphs an object has. */

import type { Guest, StorageRow } from '../api/resources';
import { bytes } from '../format';
import { t } from '../texts';
import type { GraphOf } from './Graph';

const { titles, units, series, limits } = t.graph;

const line = (column: keyof typeof series, scale?: number) => ({
  column,
  name: series[column],
  scale,
});

/** A limit that is 0 is none. */
const limit = (value: number | undefined, label: string, show = bytes) =>
  value ? { value, label: `${label} ${show(value)}` } : undefined;

const NETWORK: GraphOf = {
  title: titles.network,
  unit: 'bits',
  series: [line('netin', 8), line('netout', 8)],
};

const PRESSURE: GraphOf = {
  title: titles.pressure,
  detail: units.percent,
  unit: 'percent',
  series: [line('pressurecpusome'), line('pressureiosome'), line('pressurememorysome')],
  least: 10,
};

export function guestGraphs(guest: Guest): GraphOf[] {
  return [
    {
      title: titles.cpu,
      // A container that is off and has no limit of its own has no number of cores.
      detail: guest.maxcpu ? units.ofCores(guest.maxcpu) : undefined,
      unit: 'percent',
      series: [line('cpu', 100)],
      least: 100,
    },
    {
      title: titles.memory,
      unit: 'bytes',
      series: guest.type === 'lxc' ? [line('mem')] : [line('mem'), line('memhost')],
      limit: limit(guest.maxmem, limits.assigned),
    },
    NETWORK,
    {
      title: titles.disk,
      unit: 'byteRate',
      series: [line('diskread'), line('diskwrite')],
    },
  ];
}

export function nodeGraphs(cpus: number, memory: number): GraphOf[] {
  return [
    {
      title: titles.cpu,
      detail: units.ofCores(cpus),
      unit: 'percent',
      series: [line('cpu', 100), line('iowait', 100)],
      least: 100,
    },
    {
      title: titles.load,
      detail: units.load,
      unit: 'number',
      series: [line('loadavg')],
      limit: limit(cpus, limits.processors, String),
    },
    {
      title: titles.memory,
      unit: 'bytes',
      series: [line('memused'), line('memavailable')],
      limit: limit(memory, limits.installed),
    },
    NETWORK,
    PRESSURE,
  ];
}

export function storageGraphs(storage: StorageRow): GraphOf[] {
  return [
    {
      title: titles.space,
      unit: 'bytes',
      series: [line('used')],
      limit: limit(storage.maxdisk, limits.size),
    },
  ];
}
