import type { ReactNode } from 'react';
import type { Task } from '../api/tasks';
import { moment, plain } from '../format';
import { taskWord } from '../texts';
import { TaskStateWord } from './TaskState';
import { showTask } from './view';

/** Tasks as lines, each of which opens its log. */
export function Events({
  tasks,
  objectOf,
  none,
}: {
  tasks: Task[];
  /** What a task is about, where that is not said by the page. */
  objectOf?: (task: Task) => ReactNode;
  /** What is said if there are none. */
  none: string;
}) {
  if (tasks.length === 0) return <p className="pad muted">{none}</p>;
  return (
    <ul className="events">
      {tasks.map((task) => (
        <li key={task.upid}>
          <button type="button" className="ev" onClick={() => showTask(task.upid)}>
            <span className="mono muted">{moment(task.starttime)}</span>
            <span className="trunc">
              {taskWord(task.type)} {objectOf?.(task)}{' '}
              <span className="muted">{plain(task.user)}</span>
            </span>
            <TaskStateWord task={task} />
          </button>
        </li>
      ))}
    </ul>
  );
}
