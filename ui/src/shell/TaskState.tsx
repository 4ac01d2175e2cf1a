import { stateOfTask, type Task } from '../api/tasks';
import { plain } from '../format';
import { Icon, type IconName } from '../parts/Icon';
import { t } from '../texts';

const LOOK: Record<string, [string, IconName | undefined]> = {
  running: ['busy', undefined],
  ok: ['running', 'check'],
  warning: ['warning', 'warn'],
  failed: ['error', 'x'],
};

/** How a task stands: running, OK, or what went wrong. */
export function TaskStateWord({ task }: { task: Pick<Task, 'endtime' | 'status'> }) {
  const state = stateOfTask(task);
  const [tone, icon] = LOOK[state] ?? ['stopped', undefined];
  const text =
    state === 'failed' || state === 'warning' ? plain(task.status ?? '') : t.tasks.state[state];
  return (
    <span className={`st tone t-${tone}`} title={text}>
      {icon && <Icon name={icon} className="s" />}
      <span className="trunc">{text || t.tasks.state[state]}</span>
    </span>
  );
}
