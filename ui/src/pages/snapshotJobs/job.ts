/** Jobs that make snapshots: what they mean, and the parameters of a change. */

import { type Params, path } from '../../api/client';
import type { Task } from '../../api/tasks';
import { moment } from '../../format';
import { t } from '../../texts';
import { changeOf, type Values } from '../records/values';

const words = t.snapshotJob;

export const SNAPSHOT_JOBS = '/ostler/cluster/snapshot-jobs';

export const jobPath = (id: string) => `${SNAPSHOT_JOBS}${path(id)}`;

/** What a job did last on a node. */
export type NodeRuns = {
  node: string;
  upid?: string;
  endtime?: number;
  status?: string;
  missed: number;
  'missed-runs': { due: number; reason: 'late' | 'still-running' }[];
};

export type Job = {
  id: string;
  schedule?: string;
  /** The changes that it comes before. */
  before?: string;
  digest?: string;
  comment?: string;
  enabled?: boolean | number;
  all?: boolean | number;
  exclude?: string;
  pool?: string;
  tag?: string;
  vmid?: string | number;
  node?: string;
  'next-run'?: number;
  'last-run'?: number;
  state?: string;
  missed: number;
  nodes: NodeRuns[];
} & { [keep in `keep-${Keep}`]?: number };

export const KEEPS = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
type Keep = (typeof KEEPS)[number];

/** By what a job's guests are said; each has a field. */
export const CHOICES = ['vmid', 'pool', 'tag', 'all'] as const;
export type Choice = (typeof CHOICES)[number];

export const fieldOfChoice = (choice: Choice) => (choice === 'all' ? 'exclude' : choice);
const OF_CHOICES = CHOICES.map(fieldOfChoice);

export const isOn = (job: Job) => job.enabled === undefined || Boolean(Number(job.enabled));

export function choiceOf(job: Job | undefined): Choice {
  if (Number(job?.all)) return 'all';
  if (job?.pool !== undefined) return 'pool';
  return job?.tag === undefined ? 'vmid' : 'tag';
}

/** By the clock, before changes, or both. */
export const whenOf = ({ schedule, before }: Job) =>
  [schedule, before && words.before(before.split(/[,; ]+/).join(', '))].filter(Boolean).join('; ');

/** Which guests, in words. */
export function guestsOf(job: Job): string {
  const choice = choiceOf(job);
  const name = String(job[fieldOfChoice(choice)] ?? '');
  const which = words.of[choice](name.split(/[,; ]+/).join(', '));
  return job.node === undefined ? which : words.onNode(which, job.node);
}

/** What stays, in words. */
export function keepsOf(job: Job): string {
  const kept = KEEPS.map((keep) => [keep, job[`keep-${keep}`] ?? 0] as const);
  const some = kept.filter(([, count]) => count > 0);
  return some.map(([keep, count]) => words.keeps[keep](count)).join(', ') || words.keepsAll;
}

/** The newest missed runs of all nodes, newest first. */
export function missedOf(job: Job, most: number): string[] {
  return job.nodes
    .flatMap(({ node, 'missed-runs': missed }) => missed.map((one) => ({ node, ...one })))
    .sort((a, b) => b.due - a.due)
    .slice(0, most)
    .map(({ node, due, reason }) => `${node}, ${moment(due)}: ${words.reasons[reason]}`);
}

/** How the last run of all nodes stands, as a task does. */
export const stateOf = ({ state }: Job): Pick<Task, 'endtime' | 'status'> =>
  state === 'running' ? {} : { endtime: 1, status: state };

/** Often while a job runs: the stream has no jobs. */
export const pauseOf = (jobs: Job[]) =>
  jobs.some(({ state }) => state === 'running') ? 2000 : 15_000;

/** The parameters that make or change a job; other guests take the place of those before. */
export function paramsOf(values: Values, before: Values, choice: Choice, digest?: string): Params {
  const own = fieldOfChoice(choice);
  const isKept = ([name]: [string, string]) => name === own || !OF_CHOICES.includes(name as never);
  const kept = (all: Values): Values => Object.fromEntries(Object.entries(all).filter(isKept));
  const params = changeOf(kept(values), kept(before), digest);
  return choice === 'all' ? { ...params, all: 1 } : params;
}
