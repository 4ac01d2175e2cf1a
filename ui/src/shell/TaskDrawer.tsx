import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { useSession } from '../api/session';
import { useGuest } from '../api/stream';
import { noticeEnded, stateOfTask, type Task, type TaskState, useTasks } from '../api/tasks';
import { moment, plain } from '../format';
import { Ring } from '../parts/Bar';
import { IconButton } from '../parts/Button';
import { Icon } from '../parts/Icon';
import { Segmented } from '../parts/Segmented';
import { t, taskWord } from '../texts';
import { useKeys } from './keys';
import { TaskLog } from './TaskLog';
import { TaskStateWord } from './TaskState';
import { filterTasks, type TaskFilter, TaskTable } from './TaskTable';
import { setView, useView } from './view';

function TaskName({ task }: { task: Task }) {
  const guest = useGuest(Number(task.id));
  return (
    <span className="trunc">
      {taskWord(task.type)} <span className="mono">{plain(task.id)}</span>{' '}
      {guest && plain(guest.label)}
    </span>
  );
}

/** Closed: how many run, the one that matters, the last result. */
function ClosedLine({ tasks }: { tasks: Task[] }) {
  const running = tasks.filter((task) => stateOfTask(task) === 'running');
  const last = tasks
    .filter((task) => task.endtime)
    .reduce<Task | undefined>(
      (best, task) => ((task.endtime ?? 0) > (best?.endtime ?? 0) ? task : best),
      undefined,
    );
  const [first] = running;
  return (
    <div className="dr-line">
      <button type="button" className="row" onClick={() => setView({ isDrawerOpen: true })}>
        <Icon name="up" className="s" />
        <b>{t.tasks.title}</b>
      </button>
      <span className="sep" />
      {first && (
        <>
          <Ring />
          <b>{t.runningTasks(running.length)}</b>
          <TaskName task={first} />
          <span className="sep hidep" />
        </>
      )}
      {last ? (
        <span className={`row last ${first ? 'hidep' : ''}`}>
          <span className="hidep">{t.tasks.last}</span>
          <TaskStateWord task={last} />
          <TaskName task={last} />
          <span className="muted hidep">{moment(last.endtime ?? 0)}</span>
        </span>
      ) : (
        !first && <span className="muted">{t.tasks.none}</span>
      )}
      <span className="grow" />
      <button type="button" className="hidep muted" onClick={() => setView({ isDrawerOpen: true })}>
        {t.tasks.open} <kbd>T</kbd>
      </button>
    </div>
  );
}

function Open({ tasks }: { tasks: Task[] }) {
  const session = useSession();
  const { task: chosen } = useView();
  const [filter, setFilter] = useState<TaskFilter>('all');
  const [words, setWords] = useState('');
  const user = session.state === 'in' ? session.user : '';
  const shown = filterTasks(tasks, filter, user, words);
  const upid = chosen ?? shown[0]?.upid;
  return (
    <>
      <div className="drh">
        <h2>{t.tasks.title}</h2>
        <Segmented<TaskFilter>
          label={t.tasks.title}
          value={filter}
          options={[
            ['all', t.tasks.all],
            ['running', t.tasks.running],
            ['failed', t.tasks.failedTab],
            ['mine', t.tasks.mine],
          ]}
          onChange={setFilter}
        />
        <label className="inp sm">
          <Icon name="filter" className="s" />
          <input
            placeholder={t.tasks.filter}
            aria-label={t.tasks.filter}
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
        </label>
        <span className="grow" />
        <IconButton
          icon="down"
          label={t.tasks.close}
          onClick={() => setView({ isDrawerOpen: false })}
        />
      </div>
      <div className="drb">
        <div className="drl">
          {shown.length === 0 ? (
            <p className="pad muted">{tasks.length === 0 ? t.tasks.none : t.tasks.noneLike}</p>
          ) : (
            <TaskTable tasks={shown} chosen={upid} onChoose={(task) => setView({ task })} />
          )}
        </div>
        {upid ? (
          <TaskLog key={upid} upid={upid} tasks={tasks} />
        ) : (
          <p className="pad muted">{t.tasks.choose}</p>
        )}
      </div>
    </>
  );
}

export function TaskDrawer() {
  const tasks = useTasks();
  const client = useQueryClient();
  const { isDrawerOpen } = useView();
  const before = useRef(new Map<string, TaskState>());
  useEffect(() => noticeEnded(client, before.current, tasks), [client, tasks]);
  useKeys({ t: () => setView({ isDrawerOpen: !isDrawerOpen }) });
  return (
    <section className="dr" aria-label={t.tasks.title}>
      {isDrawerOpen ? <Open tasks={tasks} /> : <ClosedLine tasks={tasks} />}
    </section>
  );
}
