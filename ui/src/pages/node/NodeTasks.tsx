import { TaskArchive } from '../guest/GuestTasks';
import { useNodeOfPage } from './NodePage';

export default function NodeTasks() {
  return <TaskArchive node={useNodeOfPage()} />;
}
