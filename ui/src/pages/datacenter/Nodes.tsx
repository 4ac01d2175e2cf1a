import { Link } from '@tanstack/react-router';
import type { NodeRow } from '../../api/resources';
import { useInventory } from '../../api/stream';
import { gib, percent, uptime } from '../../format';
import { Bar } from '../../parts/Bar';
import { Glyph } from '../../parts/Glyph';
import { nodeAddress } from '../../shell/treeRows';
import { t } from '../../texts';

const columns = t.dc.columns;

function Figures({ node, guests }: { node: NodeRow; guests: number }) {
  const memory = node.maxmem ? (node.mem ?? 0) / node.maxmem : 0;
  return (
    <>
      <td>
        <span className="mm">
          <Bar part={node.cpu ?? 0} label={columns.cpu} />
          <span>
            {percent(node.cpu ?? 0)}{' '}
            <span className="muted">
              {t.of} {node.maxcpu}
            </span>
          </span>
        </span>
      </td>
      <td>
        <span className="mm">
          <Bar part={memory} label={columns.memory} />
          <span>
            {gib(node.mem ?? 0)}{' '}
            <span className="muted">
              {t.of} {gib(node.maxmem ?? 0)}
            </span>
          </span>
        </span>
      </td>
      <td className="num">{guests}</td>
      <td className="num t2">{uptime(node.uptime ?? 0)}</td>
    </>
  );
}

export function NodeTable() {
  const { nodes, guests } = useInventory();
  const count = (name: string) =>
    guests.filter((guest) => guest.node === name && guest.status === 'running').length;
  return (
    <div className="tblw">
      <table className="tbl nodes">
        <thead>
          <tr>
            <th>{columns.node}</th>
            <th>{columns.cpu}</th>
            <th>{columns.memory}</th>
            <th className="num">{columns.guests}</th>
            <th className="num">{columns.uptime}</th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => {
            const isOnline = node.status === 'online';
            return (
              <tr key={node.id}>
                <td>
                  <Link className="name row" to={nodeAddress(node.node)}>
                    <Glyph kind="node" state={isOnline ? 'running' : 'unknown'} />
                    <span className="trunc">{node.node}</span>
                  </Link>
                </td>
                {isOnline ? (
                  <Figures node={node} guests={count(node.node)} />
                ) : (
                  <td colSpan={4} className="tone t-unknown">
                    {t.dc.notReporting}
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

export default function NodesTab() {
  return (
    <div className="body flush scrolls">
      <NodeTable />
    </div>
  );
}
