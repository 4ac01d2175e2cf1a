import { useNavigate, useSearch } from '@tanstack/react-router';
import { Segmented } from '../../parts/Segmented';
import { t } from '../../texts';
import { groups, roles, users } from './access';
import { Factors } from './Factors';
import { Records } from './Records';
import { Rights, useNames } from './Rights';
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
      return <Rights>{choice}</Rights>;
    case 'tokens':
      return <Tokens choice={choice} />;
    case 'factors':
      return <Factors choice={choice} />;
    default:
      return <Records kind={users(groupNames)}>{choice}</Records>;
  }
}
