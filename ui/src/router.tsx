import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router';
import { DatacenterPage } from './pages/datacenter/DatacenterPage';
import type { PageName } from './pages/hardware/layout';
import { Blank, Failed } from './parts/Page';
import { Shell } from './shell/Shell';
import { t } from './texts';

const root = createRootRoute({
  notFoundComponent: () => <Blank icon="gone" title={t.states.noPage} />,
});
/** Everything within the shell; a console in its own window has none. */
const shell = createRoute({ getParentRoute: () => root, id: 'shell', component: Shell });
const home = createRoute({
  getParentRoute: () => shell,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/datacenter' });
  },
});

const datacenter = createRoute({
  getParentRoute: () => shell,
  path: 'datacenter',
  component: DatacenterPage,
});
const dcTab = (path: string, load: () => Promise<{ default: React.ComponentType }>) =>
  createRoute({ getParentRoute: () => datacenter, path, component: lazyRouteComponent(load) });

const guest = createRoute({
  getParentRoute: () => shell,
  path: 'guest/$vmid',
  component: lazyRouteComponent(() => import('./pages/guest/GuestPage'), 'GuestPage'),
});
const guestTab = (path: string, load: () => Promise<{ default: React.ComponentType }>) =>
  createRoute({ getParentRoute: () => guest, path, component: lazyRouteComponent(load) });

const keyPages: PageName[] = ['hardware', 'network', 'dns', 'cloudinit', 'options'];

const node = createRoute({
  getParentRoute: () => shell,
  path: 'node/$node',
  component: lazyRouteComponent(() => import('./pages/node/NodePage'), 'NodePage'),
});
const nodeTab = (path: string, load: () => Promise<{ default: React.ComponentType }>) =>
  createRoute({ getParentRoute: () => node, path, component: lazyRouteComponent(load) });

const page = (path: string, load: () => Promise<{ default: React.ComponentType }>) =>
  createRoute({ getParentRoute: () => shell, path, component: lazyRouteComponent(load) });

const tree = root.addChildren([
  shell.addChildren([
    home,
    datacenter.addChildren([
      dcTab('/', () => import('./pages/datacenter/Overview')),
      dcTab('guests', () => import('./pages/datacenter/DcGuests')),
      dcTab('nodes', () => import('./pages/datacenter/Nodes')),
      dcTab('storage', () => import('./pages/records/StorageRecords')),
      dcTab('cluster', () => import('./pages/datacenter/Cluster')),
      dcTab('permissions', () => import('./pages/records/Permissions')),
      dcTab('pools', () => import('./pages/records/Pools')),
      dcTab('mappings', () => import('./pages/mappings/Mappings')),
      dcTab('cpu-models', () => import('./pages/cpuModels/CpuModels')),
      dcTab('profiles', () => import('./pages/profiles/Profiles')),
      dcTab('tiers', () => import('./pages/tiers/Tiers')),
      dcTab('snapshots', () => import('./pages/snapshotReport/SnapshotReport')),
      dcTab('snapshot-jobs', () => import('./pages/snapshotJobs/SnapshotJobs')),
      dcTab('options', () => import('./pages/records/DcOptions')),
      dcTab('tasks', () => import('./pages/datacenter/DcTasks')),
    ]),
    guest.addChildren([
      guestTab('/', () => import('./pages/guest/Summary')),
      guestTab('console', () => import('./pages/console/Console')),
      ...keyPages.map((path) => guestTab(path, () => import('./pages/hardware/KeyPage'))),
      guestTab('snapshots', () => import('./pages/snapshots/Snapshots')),
      guestTab('tasks', () => import('./pages/guest/GuestTasks')),
      guestTab('permissions', () => import('./pages/guest/GuestPermissions')),
    ]),
    node.addChildren([
      nodeTab('/', () => import('./pages/node/NodeSummary')),
      nodeTab('guests', () => import('./pages/node/NodeGuests')),
      nodeTab('storage', () => import('./pages/node/NodeStorage')),
      nodeTab('disks', () => import('./pages/node/NodeDisks')),
      nodeTab('network', () => import('./pages/node/NodeNetwork')),
      nodeTab('services', () => import('./pages/node/NodeServices')),
      nodeTab('hardware', () => import('./pages/node/NodeHardware')),
      nodeTab('shell', () => import('./pages/node/NodeShell')),
      nodeTab('adopt', () => import('./pages/adopt/Adopt')),
      nodeTab('tasks', () => import('./pages/node/NodeTasks')),
      nodeTab('log', () => import('./pages/node/NodeLog')),
    ]),
    page('create', () => import('./pages/create/Create')),
    page('api', () => import('./pages/api/ApiViewer')),
    page('storage/$node/$storage', () => import('./pages/node/StorageContent')),
  ]),
  createRoute({
    getParentRoute: () => root,
    path: 'console/$vmid',
    component: lazyRouteComponent(() => import('./pages/console/ConsoleWindow'), 'GuestWindow'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: 'shell/$node',
    component: lazyRouteComponent(() => import('./pages/console/ConsoleWindow'), 'ShellWindow'),
  }),
]);

export const router = createRouter({
  routeTree: tree,
  defaultPreload: 'intent',
  defaultErrorComponent: ({ error, reset }) => <Failed error={error} retry={reset} />,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
