import { useOutline } from '../api/stream';
import { stateOfTask, type Task } from '../api/tasks';
import { duration, moment, plain } from '../format';
import { t, taskWord } from '../texts';
import { TaskStateWord } from './TaskState';
import { hasWords } from './treeRows';

export type TaskFilter = 'all' | 'running' | 'failed' | 'mine';

export function filterTasks(
  tasks: Task[],
  filter: TaskFilter,
  user: string,
  words: string,
): Task[] {
  const kept = tasks.filter((task) => {
    const state = stateOfTask(task);
    if (filter === 'running' && state !== 'running') return false;
    if (filter === 'failed' && state !== 'failed') return false;
    if (filter === 'mine' && task.user !== user) return false;
    return !words || hasWords(`${task.id} ${task.user} ${task.type} ${taskWord(task.type)}`, words);
  });
  const rank = (task: Task) => (stateOfTask(task) === 'running' ? 0 : 1);
  return kept.sort((a, b) => rank(a) - rank(b) || b.starttime - a.starttime);
}

/** Tasks, newest first, those that run before all others. */
export function TaskTable({
  tasks,
  chosen,
  onChoose,
  withNode,
}: {
  tasks: Task[];
  chosen?: string;
  onChoose: (upid: string) => void;
  withNode?: boolean;
}) {
  const { byVmid } = useOutline();
  const now = Date.now();
  const columns = t.tasks.columns;
  return (
    <table className="tbl tight tasks">
      <thead>
        <tr>
          <th className="c-start">{columns.start}</th>
          <th className="c-task">{columns.task}</th>
          <th>{columns.object}</th>
          {withNode && <th className="c-node">{columns.node}</th>}
          <th className="c-user">{columns.user}</th>
          <th className="c-took num">{columns.took}</th>
          <th className="c-end">{columns.state}</th>
        </tr>
      </thead>
      <tbody>
        {tasks.map((task) => {
          const guest = byVmid.get(Number(task.id));
          const end = task.endtime ?? Math.floor(now / 1000);
          return (
            <tr
              key={task.upid}
              aria-selected={task.upid === chosen}
              onClick={() => onChoose(task.upid)}
            >
              <td className="mono t2">{moment(task.starttime, now)}</td>
              <td>
                <button type="button" className="name" onClick={() => onChoose(task.upid)}>
                  {taskWord(task.type)}
                </button>
              </td>
              <td className="trunc">
                <span className="mono muted">{plain(task.id)}</span> {guest && plain(guest.label)}
              </td>
              {withNode && <td className="t2">{task.node}</td>}
              <td className="t2 trunc">{plain(task.user)}</td>
              <td className="num t2">{duration(Math.max(0, end - task.starttime))}</td>
              <td>
                <TaskStateWord task={task} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
