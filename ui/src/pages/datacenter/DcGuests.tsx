import { useNavigate, useSearch } from '@tanstack/react-router';
import { guestSearchOf } from '../guests/filters';
import { GuestsView } from '../guests/GuestsView';

export default function DcGuests() {
  const search = guestSearchOf(useSearch({ strict: false }));
  const navigate = useNavigate();
  return (
    <GuestsView
      search={search}
      onSearch={(next) => void navigate({ to: '/datacenter/guests', search: next, replace: true })}
    />
  );
}
