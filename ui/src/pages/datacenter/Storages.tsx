import { Link } from '@tanstack/react-router';
import type { StorageRow } from '../../api/resources';
import { useInventory } from '../../api/stream';
import { moment } from '../../format';
import { Fill } from '../../parts/Fill';
import { Icon } from '../../parts/Icon';
import { storageAddress } from '../../shell/treeRows';
import { t } from '../../texts';

const columns = t.dc.columns;

function stateOf(storage: StorageRow): string {
  const since = storage['unreachable-since'];
  return since ? t.storage.unreachable(moment(since)) : storage.status;
}

/** Storages of all nodes, or of one; a shared one is listed once. */
export function StorageTable({ node, isBrief }: { node?: string; isBrief?: boolean }) {
  const { storages } = useInventory();
  const seen = new Set<string>();
  const shown = storages.filter((one) => {
    if (node) return one.node === node;
    if (one.shared && seen.has(one.storage)) return false;
    seen.add(one.storage);
    return true;
  });
  return (
    <div className="tblw">
      <table className="tbl stores">
        <thead>
          <tr>
            <th>{columns.storage}</th>
            <th>{columns.type}</th>
            <th>{columns.used}</th>
            {!isBrief && <th>{columns.content}</th>}
          </tr>
        </thead>
        <tbody>
          {shown.map((one) => {
            return (
              <tr key={one.id}>
                <td>
                  <Link className="name row" to={storageAddress(one)}>
                    <Icon name="disk" className="s" />
                    <span className="trunc">{one.storage}</span>
                    {!node && <span className="muted">{one.shared ? '' : one.node}</span>}
                  </Link>
                </td>
                <td className="t2">
                  {one.plugintype}, {one.shared ? t.dc.sharedStore : t.dc.localStore}
                </td>
                <td>
                  {one.maxdisk ? (
                    <Fill used={one.disk ?? 0} size={one.maxdisk} label={columns.used} />
                  ) : (
                    <span className="tone t-unknown">{stateOf(one)}</span>
                  )}
                </td>
                {!isBrief && (
                  <td className="t2 trunc" title={one.content}>
                    {one.content.split(',').join(', ')}
                  </td>
                )}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
