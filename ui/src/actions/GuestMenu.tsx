import { Menu } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import type { ReactElement } from 'react';
import type { Guest } from '../api/resources';
import { Icon } from '../parts/Icon';
import { GUEST_ACTIONS, type GuestAction, guestAction } from './guest';

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

/** The actions of a guest; what is not possible stays visible, with the reason as its title. */
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
        {actions.map((action) => (
          <Item key={action.id} action={action} guest={guest} />
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
