import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback } from 'react';
import type { Guest } from '../../api/resources';
import { nodeAddress } from '../../shell/treeRows';
import { guestSearchOf } from '../guests/filters';
import { GuestsView } from '../guests/GuestsView';
import { useNodeOfPage } from './NodePage';

export default function NodeGuests() {
  const node = useNodeOfPage();
  const search = guestSearchOf(useSearch({ strict: false }));
  const navigate = useNavigate();
  const isHere = useCallback((guest: Guest) => guest.node === node, [node]);
  return (
    <GuestsView
      search={search}
      fixed={isHere}
      onSearch={(next) =>
        void navigate({ to: `${nodeAddress(node)}/guests`, search: next, replace: true })
      }
    />
  );
}
