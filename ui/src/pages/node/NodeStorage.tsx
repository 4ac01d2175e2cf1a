import { StorageTable } from '../datacenter/Storages';
import { useNodeOfPage } from './NodePage';

export default function NodeStorage() {
  return (
    <div className="body flush scrolls">
      <StorageTable node={useNodeOfPage()} />
    </div>
  );
}
