import { Menu } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import { useOperations } from '../api/operations';
import type { Guest } from '../api/resources';
import { Icon } from '../parts/Icon';
import { GUEST_ACTIONS, type GuestAction, guestAction, isOffered } from './guest';

function Item({ action, guest }: { action: GuestAction; guest: Guest }) {
  const client = useQueryClient();
  const reason = action.refuses(guest);
  return (
    <Menu.Item
      className={action.danger ? 'dz' : ''}
      leftSection={<Icon name={action.icon} className="s" />}
      rightSection={
        action.key && <kbd>{action.key === 'S' ? 'Shift S' : action.key.toUpperCase()}</kbd>
      }
      disabled={reason !== undefined}
      title={reason}
      onClick={() => action.run(guest, client)}
    >
      {action.label}
    </Menu.Item>
  );
}

/** What its kind has at this node. */
function Items({ guest, actions }: { guest: Guest; actions: GuestAction[] }) {
  const table = useOperations().data;
  return actions
    .filter((action) => isOffered(action, guest, table))
    .map((action) => <Item key={action.id} action={action} guest={guest} />);
}

/** The actions of a guest; what is not possible now stays visible, with the reason as its title. */
export function GuestMenu({
  guest,
  ids,
  children,
  opened,
  onChange,
}: {
  guest: Guest;
  /** Some of the actions; all if there are none. */
  ids?: string[];
  children: ReactElement;
  opened?: boolean;
  onChange?: (opened: boolean) => void;
}) {
  const actions = ids ? ids.map(guestAction) : GUEST_ACTIONS;
  return (
    <Menu position="bottom-end" opened={opened} onChange={onChange} withinPortal>
      <Menu.Target>{children}</Menu.Target>
      <Menu.Dropdown>
        <Items guest={guest} actions={actions} />
      </Menu.Dropdown>
    </Menu>
  );
}
