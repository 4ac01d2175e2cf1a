/** What can be done to a guest: the same list for menus, keys, the palette and the bulk bar. */

import type { QueryClient } from '@tanstack/react-query';
import { api, path } from '../api/client';
import { hasOperation, knownOperations, type Operation } from '../api/operations';
import type { Guest } from '../api/resources';
import { expectState, getLive } from '../api/stream';
import { startTask } from '../api/tasks';
import type { IconName } from '../parts/Icon';
import { wordOf } from '../parts/State';
import { t } from '../texts';
import { openDialog } from './dialogs';
import type { GuestType } from './kinds';

export type GuestAction = {
  id: string;
  label: string;
  icon: IconName;
  key?: string;
  danger?: boolean;
  /** Several guests at once. */
  bulk?: boolean;
  /** Where it is asked for, below the guest's path; DELETE for what has no path. */
  operation: string;
  /** Of one kind of guest, with an operation that Proxmox VE does not have. */
  own?: GuestType;
  /** Why it is not possible now; nothing if it is. */
  refuses: (guest: Guest) => string | undefined;
  run: (guest: Guest, client: QueryClient) => void;
};

type Check = (guest: Guest) => string | undefined;

const reports: Check = (guest) => (guest.state === 'unknown' ? t.not.unknown : undefined);
const idle: Check = (guest) => (guest.state === 'busy' ? t.not.busy(wordOf(guest)) : undefined);
const noTemplate: Check = (guest) => (guest.template ? t.not.template : undefined);
const isOn: Check = (guest) => (guest.status === 'stopped' ? t.not.stopped : undefined);
const isOff: Check = (guest) => (guest.status === 'stopped' ? undefined : t.not.mustStop);

/** The first reason against. */
function against(...checks: Check[]): Check {
  return (guest) => {
    for (const check of checks) {
      const reason = check(guest);
      if (reason) return reason;
    }
  };
}

export const guestPath = (guest: Pick<Guest, 'type' | 'node' | 'vmid'>) =>
  path('nodes', guest.node, guest.type, guest.vmid);

/** Where Ostler has what Proxmox VE does not. */
export const operationPath = (guest: Pick<Guest, 'type' | 'node' | 'vmid'>, name: string) =>
  `/ostler${guestPath(guest)}/${name}`;

/** Asks for a change of power; the guest is shown as busy with it at once. */
function power(id: keyof typeof t.doing, word: string, method: string = id): GuestAction['run'] {
  return (guest, client) => {
    expectState(guest.vmid, t.doing[id]);
    const asked = startTask(client, `${word} ${guest.vmid} ${guest.label}`, () =>
      api.post<string>(`${guestPath(guest)}/status/${method}`),
    );
    void asked.then((isStarted) => isStarted || expectState(guest.vmid));
  };
}

const hasOtherNode: Check = () =>
  getLive().inventory.nodes.length > 1 ? undefined : t.not.oneNode;

export const GUEST_ACTIONS: GuestAction[] = [
  {
    id: 'start',
    operation: '/status/start',
    label: t.act.start,
    icon: 'play',
    key: 's',
    bulk: true,
    refuses: against(reports, noTemplate, idle, (guest) =>
      guest.status === 'stopped' ? undefined : t.not.runs,
    ),
    run: power('start', t.act.start),
  },
  {
    id: 'resume',
    operation: '/status/resume',
    label: t.act.resume,
    icon: 'play',
    refuses: (guest) => (guest.state === 'paused' ? undefined : t.not.notPaused),
    run: power('resume', t.act.resume),
  },
  {
    id: 'shutdown',
    operation: '/status/shutdown',
    label: t.act.shutdown,
    icon: 'power',
    key: 'S',
    bulk: true,
    refuses: against(reports, isOn, idle),
    run: power('shutdown', t.act.shutdown),
  },
  {
    id: 'reboot',
    operation: '/status/reboot',
    label: t.act.reboot,
    icon: 'reboot',
    bulk: true,
    refuses: against(reports, isOn, idle),
    run: power('reboot', t.act.reboot),
  },
  {
    id: 'pause',
    operation: '/status/suspend',
    label: t.act.pause,
    icon: 'pause',
    refuses: against(reports, isOn, idle, (guest) =>
      guest.state === 'paused' ? t.not.paused : undefined,
    ),
    run: power('pause', t.act.pause, 'suspend'),
  },
  {
    id: 'reset',
    operation: '/status/reset',
    label: t.act.reset,
    icon: 'undo',
    danger: true,
    refuses: against(reports, isOn),
    run: (guest) => openDialog('reset', guest),
  },
  {
    id: 'stop',
    operation: '/status/stop',
    label: t.act.stop,
    icon: 'stop',
    danger: true,
    bulk: true,
    refuses: against(reports, isOn),
    run: (guest) => openDialog('stop', guest),
  },
  {
    id: 'migrate',
    operation: '/migrate',
    label: t.act.migrate,
    icon: 'migrate',
    key: 'm',
    bulk: true,
    refuses: against(reports, idle, hasOtherNode),
    run: (guest) => openDialog('migrate', guest),
  },
  {
    id: 'exec',
    operation: '/exec',
    own: 'lxc',
    label: t.act.exec,
    icon: 'keyboard',
    refuses: against(reports, isOn),
    run: (guest) => openDialog('exec', guest),
  },
  {
    id: 'snapshot',
    operation: '/snapshot',
    label: t.act.snapshot,
    icon: 'camera',
    key: 'n',
    refuses: against(reports, noTemplate, idle),
    run: (guest) => openDialog('snapshot', guest),
  },
  {
    id: 'clone',
    operation: '/clone',
    label: t.act.clone,
    icon: 'clone',
    refuses: against(reports, idle),
    run: (guest) => openDialog('clone', guest),
  },
  {
    id: 'template',
    operation: '/template',
    label: t.act.template,
    icon: 'lock',
    refuses: against(
      reports,
      (guest) => (guest.template ? t.not.isTemplate : undefined),
      isOff,
      idle,
    ),
    run: (guest) => openDialog('template', guest),
  },
  {
    id: 'destroy',
    operation: '',
    label: t.act.destroy,
    icon: 'trash',
    danger: true,
    refuses: against(reports, isOff, idle),
    run: (guest) => openDialog('destroy', guest),
  },
];

export function guestAction(id: string): GuestAction {
  const found = GUEST_ACTIONS.find((action) => action.id === id);
  if (!found) throw new Error(`there is no action ${id}`);
  return found;
}

/** Whether the API has an operation for guests of this kind, `/snapshot`. */
export const offers = (
  table: Operation[] | undefined,
  guest: Pick<Guest, 'type'>,
  method: string,
  below: string,
) => hasOperation(table, method, `/nodes/{node}/${guest.type}/{vmid}${below}`);

/** Whether there is such an action for guests of this kind. */
export const isOffered = (
  action: GuestAction,
  guest: Pick<Guest, 'type'>,
  table: Operation[] | undefined,
) => {
  const { own, operation } = action;
  if (own) {
    const address = `/ostler/nodes/{node}/${own}/{vmid}${operation}`;
    return own === guest.type && hasOperation(table, 'POST', address);
  }
  return offers(table, guest, operation ? 'POST' : 'DELETE', operation);
};

/** Runs an action unless there is a reason against; returns the reason. */
export function tryAction(id: string, guest: Guest, client: QueryClient): string | undefined {
  const action = guestAction(id);
  const isThere = isOffered(action, guest, knownOperations(client));
  const reason = isThere ? action.refuses(guest) : t.not.offered;
  if (!reason) action.run(guest, client);
  return reason;
}
