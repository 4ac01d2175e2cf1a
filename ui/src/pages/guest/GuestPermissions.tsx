import { Rights } from '../records/Rights';
import { useGuestOfPage } from './GuestPage';

/** Who may do what to one guest. */
export default function GuestPermissions() {
  const guest = useGuestOfPage();
  if (!guest) return null;
  const above = ['/', '/vms', ...(guest.pool ? [`/pool/${guest.pool}`] : [])];
  return <Rights of={`/vms/${guest.vmid}`} above={above} />;
}
