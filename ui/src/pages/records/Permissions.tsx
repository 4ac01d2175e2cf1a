import { useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { api } from '../../api/client';
import { useInventory } from '../../api/stream';
import { Segmented } from '../../parts/Segmented';
import { t } from '../../texts';
import { acl, groups, roles, users } from './access';
import { Factors } from './Factors';
import { Records, type Row } from './Records';
import { Tokens } from './Tokens';

const words = t.records;

type Show = 'users' | 'groups' | 'roles' | 'rights' | 'tokens' | 'factors';
const SHOWS: [Show, string][] = [
  ['users', words.users],
  ['groups', words.groups],
  ['roles', words.roles],
  ['rights', words.rights],
  ['tokens', words.tokens],
  ['factors', words.second],
];

/** The names in a list of records, for fields that refer to them. */
function useNames(list: string, key: string): string[] {
  const query = useQuery({
    queryKey: ['records', list],
    queryFn: ({ signal }) => api.get<Row[]>(list, {}, signal),
  });
  return (query.data ?? []).map((row) => String(row[key]));
}

/** Users with their tokens, as the list of users has them. */
export function useUsers() {
  return useQuery({
    queryKey: ['records', '/access/users?full=1'],
    queryFn: ({ signal }) => api.get<Row[]>('/access/users?full=1', {}, signal),
  });
}

function Rights({ choice }: { choice: React.ReactNode }) {
  const { guests, pools, storages } = useInventory();
  const groupNames = useNames('/access/groups', 'groupid');
  const roleNames = useNames('/access/roles', 'roleid');
  const people = useUsers().data ?? [];
  const tokens = people.flatMap((user) =>
    ((user.tokens as Row[] | undefined) ?? []).map((one) => `${user.userid}!${one.tokenid}`),
  );
  const paths = [
    '/',
    '/vms',
    '/nodes',
    '/storage',
    '/access',
    ...pools.map((pool) => `/pool/${pool.pool}`),
    ...new Set(storages.map((one) => `/storage/${one.storage}`)),
    ...guests.slice(0, 200).map((guest) => `/vms/${guest.vmid}`),
  ];
  const kind = acl({
    roles: roleNames,
    users: people.map((user) => String(user.userid)),
    groups: groupNames,
    tokens,
    paths,
  });
  return <Records kind={kind}>{choice}</Records>;
}

export default function Permissions() {
  const { show = 'users' } = useSearch({ strict: false }) as { show?: Show };
  const navigate = useNavigate();
  const groupNames = useNames('/access/groups', 'groupid');
  const choice = (
    <Segmented<Show>
      label={t.dc.tabs.permissions}
      value={show}
      options={SHOWS}
      onChange={(next) =>
        void navigate({ href: `/datacenter/permissions?show=${next}`, replace: true })
      }
    />
  );
  switch (show) {
    case 'groups':
      return <Records kind={groups}>{choice}</Records>;
    case 'roles':
      return <Records kind={roles}>{choice}</Records>;
    case 'rights':
      return <Rights choice={choice} />;
    case 'tokens':
      return <Tokens choice={choice} />;
    case 'factors':
      return <Factors choice={choice} />;
    default:
      return <Records kind={users(groupNames)}>{choice}</Records>;
  }
}
