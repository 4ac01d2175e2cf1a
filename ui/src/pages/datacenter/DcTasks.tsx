import { useTasks } from '../../api/tasks';
import { TaskTable } from '../../shell/TaskTable';
import { showTask, useView } from '../../shell/view';
import { t } from '../../texts';

export default function DcTasks() {
  const tasks = useTasks();
  const { task } = useView();
  return (
    <div className="body flush scrolls">
      {tasks.length === 0 ? (
        <p className="pad muted">{t.tasks.none}</p>
      ) : (
        <TaskTable tasks={tasks} chosen={task} onChoose={showTask} withNode />
      )}
    </div>
  );
}
