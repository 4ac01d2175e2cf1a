import { Outlet, useNavigate, useParams } from '@tanstack/react-router';
import { hasOperation, useKnownOperations } from '../../api/operations';
import { useSession } from '../../api/session';
import { useInventory, useLive } from '../../api/stream';
import { duration } from '../../format';
import { Button } from '../../parts/Button';
import { Glyph } from '../../parts/Glyph';
import { Blank, Loading, PageHead, Tabs } from '../../parts/Page';
import { Badge } from '../../parts/State';
import { nodeAddress } from '../../shell/treeRows';
import { t } from '../../texts';
import { ADOPT, mayAdopt } from '../adopt/adopt';
import { NodePower } from './NodePower';

const names = t.node.tabs;

export function useNodeOfPage(): string {
  const { node } = useParams({ strict: false });
  return String(node);
}

/** Head and tabs of one node. */
export function NodePage() {
  const name = useNodeOfPage();
  const { isLoaded } = useLive();
  const session = useSession();
  const table = useKnownOperations();
  const navigate = useNavigate();
  const { nodes, guests } = useInventory();
  const node = nodes.find((one) => one.node === name);
  if (!isLoaded) return <Loading />;
  if (!node) {
    return (
      <Blank icon="gone" title={t.states.gone(name)}>
        <p>{t.states.goneHint}</p>
      </Blank>
    );
  }
  const isOnline = node.status === 'online';
  const base = nodeAddress(name);
  const isRoot = session.state === 'in' && mayAdopt(session.user);
  const canAdopt = isRoot && hasOperation(table, 'POST', ADOPT);
  const own = guests.filter((guest) => guest.node === name);
  return (
    <>
      <PageHead
        glyph={<Glyph kind="node" state={isOnline ? 'running' : 'unknown'} />}
        title={name}
        meta={node.uptime ? t.node.up(duration(node.uptime)) : undefined}
        actions={
          isOnline && (
            <>
              <NodePower node={name} guests={own} />
              <Button
                kind="pri"
                icon="console"
                onClick={() => void navigate({ href: `${base}/shell` })}
              >
                {names.shell}
              </Button>
            </>
          )
        }
      >
        <Badge tone={isOnline ? 'running' : 'unknown'}>
          {isOnline ? t.node.online : t.node.offline}
        </Badge>
      </PageHead>
      <Tabs
        tabs={[
          { to: base, label: names.summary },
          { to: `${base}/guests`, label: names.guests, count: own.length },
          { to: `${base}/shell`, label: names.shell },
          { to: `${base}/hardware`, label: names.hardware },
          { to: `${base}/storage`, label: names.storage },
          { to: `${base}/disks`, label: names.disks },
          { to: `${base}/network`, label: names.network },
          { to: `${base}/services`, label: names.services },
          ...(canAdopt ? [{ to: `${base}/adopt`, label: names.adopt }] : []),
          { to: `${base}/tasks`, label: names.tasks },
          { to: `${base}/log`, label: names.log },
        ]}
      />
      <Outlet />
    </>
  );
}
