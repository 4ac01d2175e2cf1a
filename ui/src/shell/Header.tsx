import { Menu } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { unknownAlerts, worst } from '../api/alerts';
import { api } from '../api/client';
import { logout, useSession } from '../api/session';
import { useAlerts, useOutline } from '../api/stream';
import { stateOfTask, useTasks } from '../api/tasks';
import { Ring } from '../parts/Bar';
import { IconButton } from '../parts/Button';
import { Icon } from '../parts/Icon';
import { t } from '../texts';
import { setView, switchScheme, useView } from './view';

export type StatusRow = {
  type: 'cluster' | 'node';
  name: string;
  id: string;
  ip?: string;
  online?: number;
  local?: number;
  nodeid?: number;
  nodes?: number;
  quorate?: number;
  version?: number;
};

export function useClusterStatus() {
  return useQuery({
    queryKey: ['cluster', 'status'],
    queryFn: ({ signal }) => api.get<StatusRow[]>('/cluster/status', {}, signal),
    refetchInterval: 10000,
  });
}

/** The cluster's name; none on a node of its own. */
export function useClusterName(): string | undefined {
  return useClusterStatus().data?.find((row) => row.type === 'cluster')?.name;
}

export type Health = { tone: 'running' | 'warning' | 'error'; word: string; detail: string };

/** One word for the cluster, and what it rests on. */
export function healthOf(online: number, all: number, quorate: boolean | undefined): Health {
  if (quorate === false) {
    return { tone: 'error', word: t.health.noQuorum, detail: t.health.nodes(online, all) };
  }
  const detail = all <= 1 ? t.health.alone : t.health.nodes(online, all);
  const more = quorate ? `, ${t.health.quorate}` : '';
  return online < all
    ? { tone: 'warning', word: t.health.degraded, detail: detail + more }
    : { tone: 'running', word: t.health.ok, detail: detail + more };
}

export function useHealth(): Health | undefined {
  const { nodes } = useOutline();
  const status = useClusterStatus();
  if (nodes.length === 0) return undefined;
  const cluster = status.data?.find((row) => row.type === 'cluster');
  const quorate = cluster && cluster.quorate === 1;
  return healthOf(nodes.filter((node) => node.status === 'online').length, nodes.length, quorate);
}

/** The cluster's health, or how many alerts are not acknowledged. */
function HealthPill() {
  const health = useHealth();
  const alerts = unknownAlerts(useAlerts());
  const severity = worst(alerts);
  if (!health) return null;
  if (severity) {
    return (
      <Link to="/datacenter" className={`hd-pill health t-${severity}`} title={alerts[0]?.text}>
        <Icon name="warn" className="s" />
        <span>{t.alerts(alerts.length)}</span> <small>{health.detail}</small>
      </Link>
    );
  }
  return (
    <Link to="/datacenter" className={`hd-pill health t-${health.tone}`}>
      <Icon name={health.tone === 'running' ? 'ok' : 'warn'} className="s" />
      <span>{health.word}</span> <small>{health.detail}</small>
    </Link>
  );
}

function RunningTasks() {
  const running = useTasks().filter((task) => stateOfTask(task) === 'running').length;
  if (running === 0) return null;
  return (
    <button type="button" className="hd-pill tasks" onClick={() => setView({ isDrawerOpen: true })}>
      <Ring />
      <span>{t.runningTasks(running)}</span>
    </button>
  );
}

function UserMenu() {
  const session = useSession();
  const navigate = useNavigate();
  const user = session.state === 'in' ? session.user : '';
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <button type="button" className="hd-pill usr" aria-label={`${t.user.menu} ${user}`}>
          <Icon name="user" />
          <span className="mono trunc">{user}</span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => setView({ isHelpOpen: true })}>
          {t.user.keys} <kbd>?</kbd>
        </Menu.Item>
        <Menu.Item onClick={() => void navigate({ href: '/api' })}>{t.user.api}</Menu.Item>
        <Menu.Divider />
        <Menu.Item onClick={logout}>{t.user.logout}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

export function Header() {
  const { scheme, isTreeOver } = useView();
  const cluster = useClusterName();
  return (
    <header className="hd">
      <IconButton
        icon="menu"
        label={t.inventory}
        className="only-phone touch"
        aria-expanded={isTreeOver}
        onClick={() => setView({ isTreeOver: !isTreeOver })}
      />
      <div className="hd-brand">
        <Link to="/datacenter" className="hd-home">
          <Icon name="logo" className="logo" />
          <span>{t.brand}</span>
        </Link>
        {cluster && (
          <>
            <span className="hd-sep" />
            <span className="hd-cl">
              <span className="trunc">{cluster}</span>
            </span>
          </>
        )}
      </div>
      <button type="button" className="hd-search" onClick={() => setView({ isPaletteOpen: true })}>
        <Icon name="search" />
        <span>{t.search}</span>
        <kbd>Ctrl K</kbd>
      </button>
      <div className="hd-r">
        <HealthPill />
        <RunningTasks />
        <IconButton
          icon="search"
          label={t.searchShort}
          className="only-phone touch"
          onClick={() => setView({ isPaletteOpen: true })}
        />
        <IconButton
          icon={scheme === 'dark' ? 'sun' : 'moon'}
          label={t.theme.label}
          className="theme"
          onClick={switchScheme}
        />
        <UserMenu />
      </div>
    </header>
  );
}
