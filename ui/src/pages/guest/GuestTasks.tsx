import { useQuery } from '@tanstack/react-query';
import { api, path } from '../../api/client';
import { type Task, useTasks } from '../../api/tasks';
import { Loaded } from '../../parts/Page';
import { TaskTable } from '../../shell/TaskTable';
import { showTask, useView } from '../../shell/view';
import { t } from '../../texts';
import { useGuestOfPage } from './GuestPage';

const SHOWN = 500;

/** Tasks of a node's archive, kept current by the list of the cluster. */
export function TaskArchive({ node, vmid }: { node: string; vmid?: number }) {
  const newest = useTasks()[0]?.upid;
  const { task } = useView();
  const query = useQuery({
    queryKey: ['node', node, 'tasks', vmid, newest],
    queryFn: ({ signal }) =>
      api.get<Task[]>(
        `${path('nodes', node)}/tasks`,
        { vmid, limit: SHOWN, source: 'all' },
        signal,
      ),
    placeholderData: (before) => before,
  });
  return (
    <div className="body flush scrolls">
      <Loaded query={query}>
        {(tasks) =>
          tasks.length === 0 ? (
            <p className="pad muted">{t.tasks.none}</p>
          ) : (
            <TaskTable tasks={tasks} chosen={task} onChoose={showTask} />
          )
        }
      </Loaded>
    </div>
  );
}

export default function GuestTasks() {
  const guest = useGuestOfPage();
  return guest ? <TaskArchive node={guest.node} vmid={guest.vmid} /> : null;
}
