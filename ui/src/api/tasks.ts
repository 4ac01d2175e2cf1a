/** Tasks: the list of the cluster, logs, and how an action becomes a followed task. */

import { type QueryClient, useQuery } from '@tanstack/react-query';
import { t, taskWord } from '../texts';
import { ApiError, api, path } from './client';
import { useSession } from './session';
import { expectState } from './stream';
import { toast } from './toasts';

export type Task = {
  upid: string;
  node: string;
  type: string;
  id: string;
  user: string;
  starttime: number;
  endtime?: number;
  /** The exit text, once ended. */
  status?: string;
};

export type LogLine = { n: number; t: string };

export type TaskState = 'running' | 'ok' | 'warning' | 'failed';

export function stateOfTask(task: Pick<Task, 'endtime' | 'status'>): TaskState {
  if (!task.endtime) return 'running';
  if (task.status === 'OK') return 'ok';
  return task.status?.startsWith('WARNINGS') ? 'warning' : 'failed';
}

/** The node and object of `UPID:node:pid:pstart:start:type:id:user:`. */
export function partsOfUpid(upid: string) {
  const [, node = '', , , start = '0', type = '', id = '', user = ''] = upid.split(':');
  return { upid, node, type, id, user, starttime: Number.parseInt(start, 16) };
}

export const TASKS = ['cluster', 'tasks'];

/** Often while something runs; the stream has no tasks. */
export function useTasks(): Task[] {
  const session = useSession();
  const query = useQuery({
    queryKey: TASKS,
    queryFn: ({ signal }) => api.get<Task[]>('/cluster/tasks', {}, signal),
    enabled: session.state === 'in',
    refetchInterval: (all) =>
      all.state.data?.some((task) => stateOfTask(task) === 'running') ? 1000 : 5000,
  });
  return query.data ?? NONE;
}

const NONE: Task[] = [];

/** The last percentage that a log names. */
export function progressOf(lines: LogLine[]): number | undefined {
  for (const line of lines.slice(-8).reverse()) {
    const [, value] = /(\d{1,3}(?:\.\d+)?) ?%/.exec(line.t) ?? [];
    if (value !== undefined && Number(value) <= 100) return Number(value);
  }
  return undefined;
}

type About = {
  /** The page of what the task makes. */
  made?: string;
  /** The guests that it works on, if they are several. */
  vmids?: number[];
};

type Followed = About & { name: string };

/** Tasks that were started in this page and have not been reported yet, by upid. */
const followed = new Map<string, Followed>();

/** Says that a call has started a task, and later how it ended; or that the call did it all. */
export function followTask(
  client: QueryClient,
  name: string,
  upid: string | null,
  about: About = {},
) {
  if (upid?.startsWith('UPID:')) {
    followed.set(upid, { ...about, name });
    toast({ tone: 'busy', text: t.tasks.started(name), upid });
  } else {
    toast({ tone: 'running', text: t.tasks.done(name) });
  }
  void client.invalidateQueries({ queryKey: TASKS });
}

/** Runs a call that starts a task and follows it. False if it was refused, which is reported. */
export async function startTask(
  client: QueryClient,
  name: string,
  call: () => Promise<string | null>,
  about: About = {},
): Promise<boolean> {
  try {
    followTask(client, name, await call(), about);
    return true;
  } catch (error) {
    reportError(name, error);
    return false;
  }
}

export function reportError(name: string, error: unknown) {
  toast({ tone: 'error', text: t.tasks.refused(name), detail: errorText(error) });
}

/** What an error says, with the server's text for each field. */
export function errorText(error: unknown): string {
  if (!(error instanceof ApiError)) return String(error);
  const fields = Object.entries(error.fields).map(([field, text]) => `${field}: ${text}`);
  return fields.length > 0 ? fields.join('; ') : error.message;
}

/** Compares two lists of tasks: reports what has ended, and refetches what it may have changed. */
export function noticeEnded(client: QueryClient, before: Map<string, TaskState>, tasks: Task[]) {
  for (const task of tasks) {
    const state = stateOfTask(task);
    const was = before.get(task.upid);
    before.set(task.upid, state);
    const ours = followed.get(task.upid);
    if (state === 'running' || was === state || (was === undefined && !ours)) continue;
    for (const vmid of ours?.vmids ?? [Number(task.id)]) {
      void client.invalidateQueries({ queryKey: ['guest', vmid] });
      expectState(vmid);
    }
    void client.invalidateQueries({ queryKey: ['node'] });
    if (!ours) continue;
    followed.delete(task.upid);
    const { name, made } = ours;
    const failed = state === 'failed';
    toast({
      tone: failed ? 'error' : state === 'warning' ? 'warning' : 'running',
      text: failed ? t.tasks.failed(name) : t.tasks.done(name),
      detail: state === 'ok' ? undefined : task.status,
      upid: task.upid,
      made: failed ? undefined : made,
    });
  }
}

export function cancelTask(client: QueryClient, task: Pick<Task, 'node' | 'upid' | 'type'>) {
  const name = t.tasks.cancelOf(taskWord(task.type));
  return startTask(client, name, () =>
    api.delete<null>(path('nodes', task.node, 'tasks', task.upid)),
  );
}
