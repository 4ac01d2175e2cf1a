import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useLayoutEffect, useRef } from 'react';
import { api, path } from '../api/client';
import { useGuest } from '../api/stream';
import {
  cancelTask,
  type LogLine,
  partsOfUpid,
  progressOf,
  stateOfTask,
  type Task,
} from '../api/tasks';
import { duration, plain } from '../format';
import { Bar, Ring } from '../parts/Bar';
import { Button } from '../parts/Button';
import { Loaded } from '../parts/Page';
import { t, taskWord } from '../texts';
import { useNow } from '../useNow';
import { TaskStateWord } from './TaskState';
import { guestAddress } from './treeRows';

/** How many lines are asked for at a time; the end of a longer log is shown. */
const LINES = 500;

async function readLog(task: Pick<Task, 'node' | 'upid'>, signal: AbortSignal) {
  const address = path('nodes', task.node, 'tasks', task.upid, 'log');
  const first = await api.page<LogLine[]>(address, { limit: LINES });
  if (signal.aborted || first.total <= LINES) return first.data;
  return (await api.page<LogLine[]>(address, { start: first.total - LINES, limit: LINES })).data;
}

/** Reads the log while the task runs, and once more after its end. */
export function useTaskLog(task: Pick<Task, 'node' | 'upid'>, isRunning: boolean) {
  return useQuery({
    queryKey: ['task-log', task.upid, isRunning],
    queryFn: ({ signal }) => readLog(task, signal),
    refetchInterval: isRunning ? 1000 : false,
    placeholderData: (before) => before,
  });
}

function Head({ task, lines }: { task: Task; lines: LogLine[] }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const isRunning = stateOfTask(task) === 'running';
  const guest = useGuest(Number(task.id));
  const progress = isRunning ? progressOf(lines) : undefined;
  const now = useNow();
  const seconds = Math.max(0, (task.endtime ?? Math.floor(now / 1000)) - task.starttime);
  return (
    <>
      <div className="tdh">
        {isRunning ? <Ring /> : <TaskStateWord task={task} />}
        <b className="trunc">
          {taskWord(task.type)} {plain(task.id)} {guest && plain(guest.label)}
        </b>
        <span className="muted nowrap">{duration(seconds)}</span>
        <span className="grow" />
        {guest && (
          <button
            type="button"
            className="lnk"
            onClick={() => void navigate({ href: guestAddress(guest) })}
          >
            {t.tasks.openGuest}
          </button>
        )}
        {isRunning && (
          <Button kind="sm danger" icon="x" onClick={() => void cancelTask(client, task)}>
            {t.tasks.cancel}
          </Button>
        )}
      </div>
      {progress !== undefined && (
        <div className="tdp">
          <Bar part={progress / 100} label={t.tasks.columns.state} />
          <span>{progress} %</span>
        </div>
      )}
    </>
  );
}

/** One task: its head and its log, which follows the end until it is scrolled up. */
export function TaskLog({ upid, tasks }: { upid: string; tasks: Task[] }) {
  const task: Task = tasks.find((one) => one.upid === upid) ?? partsOfUpid(upid);
  const isRunning = stateOfTask(task) === 'running';
  const log = useTaskLog(task, isRunning);
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const last = log.data?.at(-1)?.n;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new last line is what scrolls.
  useLayoutEffect(() => {
    const element = box.current;
    if (element && follows.current) element.scrollTop = element.scrollHeight;
  }, [last]);
  return (
    <div className="drd">
      <Head task={task} lines={log.data ?? []} />
      <div
        className="tdl code"
        ref={box}
        role="log"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it.
        tabIndex={0}
        aria-label={t.tasks.log}
        onScroll={(event) => {
          const { scrollTop, clientHeight, scrollHeight } = event.currentTarget;
          follows.current = scrollTop + clientHeight > scrollHeight - 24;
        }}
      >
        <Loaded query={log}>
          {(lines) =>
            lines.length === 0
              ? t.tasks.noLog
              : lines.map((line) => <div key={line.n}>{plain(line.t)}</div>)
          }
        </Loaded>
        <div className="upid muted mono">{upid}</div>
      </div>
    </div>
  );
}
