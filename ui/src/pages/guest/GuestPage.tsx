import { useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useParams } from '@tanstack/react-router';
import { GuestMenu } from '../../actions/GuestMenu';
import { guestAction, isOffered, offers, tryAction } from '../../actions/guest';
import { type Operation, useOperations } from '../../api/operations';
import { type Guest, uptimeNow } from '../../api/resources';
import { useGuest, useLive } from '../../api/stream';
import { toast } from '../../api/toasts';
import { duration, plain } from '../../format';
import { Button } from '../../parts/Button';
import { Glyph, toneOf } from '../../parts/Glyph';
import { Blank, Loading, PageHead, type Tab, Tabs } from '../../parts/Page';
import { Badge, kindOf, wordOf } from '../../parts/State';
import { useKeys } from '../../shell/keys';
import { guestAddress, nodeAddress } from '../../shell/treeRows';
import { t } from '../../texts';
import { useNow } from '../../useNow';
import { Tags } from '../guests/columns';
import { pagesOf } from '../hardware/layout';
import { usePending } from './config';

const POWER = ['resume', 'pause', 'reset', 'stop'];
const MORE = ['exec', 'snapshot', 'clone', 'template', 'destroy'];

function Meta({ guest }: { guest: Guest }) {
  const seconds = uptimeNow(guest.uptime, guest.seenAt, useNow());
  return (
    <>
      {seconds > 0 ? t.guestPage.up(duration(seconds)) : t.guestPage.on}
      <Link to={nodeAddress(guest.node)}>{guest.node}</Link>
      {guest.pool && (
        <>
          {t.guestPage.pool}
          <a href={`/datacenter/guests?pool=${encodeURIComponent(guest.pool)}`}>
            {plain(guest.pool)}
          </a>
        </>
      )}
    </>
  );
}

function Act({ id, guest }: { id: string; guest: Guest }) {
  const client = useQueryClient();
  const table = useOperations().data;
  const action = guestAction(id);
  if (!isOffered(action, guest, table)) return null;
  const reason = action.refuses(guest);
  return (
    <Button
      icon={action.icon}
      disabled={reason !== undefined}
      title={reason}
      onClick={() => action.run(guest, client)}
    >
      {action.label}
    </Button>
  );
}

function Actions({ guest }: { guest: Guest }) {
  const navigate = useNavigate();
  const isOff = guest.status === 'stopped';
  return (
    <>
      <span className="group">
        {isOff ? (
          <Act id="start" guest={guest} />
        ) : (
          <>
            <Act id={guest.state === 'paused' ? 'resume' : 'shutdown'} guest={guest} />
            <Act id="reboot" guest={guest} />
            <GuestMenu guest={guest} ids={POWER}>
              <Button icon="down" aria-label={t.act.morePower} title={t.act.morePower} />
            </GuestMenu>
          </>
        )}
      </span>
      {!guestAction('migrate').refuses(guest) && <Act id="migrate" guest={guest} />}
      <GuestMenu guest={guest} ids={MORE}>
        <Button icon="dots">{t.more}</Button>
      </GuestMenu>
      <Button
        kind="pri"
        icon="console"
        disabled={isOff}
        onClick={() => void navigate({ href: `${guestAddress(guest)}/console` })}
      >
        {t.act.console}
      </Button>
    </>
  );
}

function tabsOf(guest: Guest, hasCloudInit: boolean, table?: Operation[]): Tab[] {
  const base = guestAddress(guest);
  const pages = pagesOf(guest.type).filter((page) => page !== 'cloudinit' || hasCloudInit);
  const tabs: TabName[] = ['summary', 'console', ...pages];
  if (offers(table, guest, 'GET', '/snapshot')) tabs.push('snapshots');
  tabs.push('tasks', 'permissions');
  return tabs.map((name) => ({
    to: name === 'summary' ? base : `${base}/${name}`,
    label: labelOf(guest, name),
  }));
}

type TabName = keyof typeof t.guestPage.tabs;

/** What is hardware of a virtual machine are resources of a container. */
export const labelOf = ({ type }: Pick<Guest, 'type'>, name: TabName) =>
  type === 'lxc' && name === 'hardware' ? t.guestPage.resources : t.guestPage.tabs[name];

function useGuestKeys(guest: Guest | undefined) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const act = (id: string) => () => {
    const reason = guest && tryAction(id, guest, client);
    if (reason) toast({ tone: 'warning', text: t.palette.notNow(reason) });
  };
  const go = (page: string) => () =>
    guest && void navigate({ href: `${guestAddress(guest)}/${page}` });
  useKeys({
    c: go('console'),
    e: go('hardware'),
    s: act('start'),
    S: act('shutdown'),
    m: act('migrate'),
    n: act('snapshot'),
  });
}

function Known({ guest }: { guest: Guest }) {
  const pending = usePending(guest);
  const table = useOperations().data;
  const hasCloudInit = pending.data?.some((entry) => String(entry.value).includes('cloudinit'));
  return (
    <>
      <PageHead
        glyph={<Glyph kind={kindOf(guest)} state={guest.state} />}
        id={guest.vmid}
        title={plain(guest.label)}
        meta={<Meta guest={guest} />}
        actions={<Actions guest={guest} />}
      >
        <Badge tone={toneOf(guest.state)}>{wordOf(guest)}</Badge>
        <Tags tags={guest.tagList} />
      </PageHead>
      <Tabs tabs={tabsOf(guest, hasCloudInit ?? false, table)} />
      <Outlet />
    </>
  );
}

export function useGuestOfPage(): Guest | undefined {
  const { vmid } = useParams({ strict: false });
  return useGuest(Number(vmid));
}

/** Head and tabs of one guest, around the page of the tab. */
export function GuestPage() {
  const { vmid } = useParams({ strict: false });
  const { isLoaded } = useLive();
  const guest = useGuestOfPage();
  useGuestKeys(guest);
  if (!isLoaded) return <Loading />;
  if (!guest) {
    return (
      <Blank icon="gone" title={t.states.gone(`${vmid}`)}>
        <p>{t.states.goneHint}</p>
        <Link className="btn" to="/datacenter/guests">
          {t.states.back}
        </Link>
      </Blank>
    );
  }
  return <Known key={guest.vmid} guest={guest} />;
}
