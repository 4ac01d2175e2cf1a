/** Users, groups, roles and rights: what each list shows and what can be done. */

import { api, path } from '../../api/client';
import { dateTime } from '../../format';
import { ToneWord } from '../../parts/State';
import { t } from '../../texts';
import { type RecordKind, type Row, text } from './Records';

const words = t.records;
const str = (row: Row, key: string) => String(row[key] ?? '');
const strings = (row: Row, keys: string[]) =>
  Object.fromEntries(keys.map((key) => [key, str(row, key)]));

function Enabled({ row }: { row: Row }) {
  return Number(row.enable ?? 1) ? (
    <ToneWord tone="running" icon="check">
      {t.guestPage.yes}
    </ToneWord>
  ) : (
    <span className="muted">{t.guestPage.no}</span>
  );
}

const expiry = (row: Row) => {
  const at = Number(row.expire ?? 0);
  return at === 0 ? words.never : dateTime(at);
};

const USER_FIELDS = ['comment', 'email', 'firstname', 'lastname', 'groups', 'enable', 'expire'];

export const users = (groups: string[]): RecordKind => ({
  list: '/access/users?full=1',
  nameOf: (row) => str(row, 'userid'),
  columns: [
    [words.user, (row) => text(row, 'userid')],
    [words.enabled, (row) => <Enabled row={row} />],
    [words.name, (row) => `${text(row, 'firstname')} ${text(row, 'lastname')}`.trim()],
    [words.groups, (row) => text(row, 'groups')],
    [words.expires, expiry],
    [words.comment, (row) => text(row, 'comment')],
  ],
  empty: { icon: 'user', title: words.noUsers, text: words.noUsersText },
  add: {
    operation: 'user_create',
    method: 'POST',
    path: () => '/access/users',
    title: words.addUser,
    submit: words.add,
    fields: ['userid', 'password', ...USER_FIELDS],
    offers: { groups },
  },
  change: (row) => ({
    operation: 'user_update',
    method: 'PUT',
    path: () => path('access', 'users', str(row, 'userid')),
    title: words.changeOf(str(row, 'userid')),
    submit: t.save,
    fields: USER_FIELDS,
    values: strings(row, USER_FIELDS),
    offers: { groups },
  }),
  remove: (row) => api.delete(path('access', 'users', str(row, 'userid'))),
  removes: () => words.removesUser,
  canRemove: (row) => row.userid !== 'root@pam',
});

export const groups: RecordKind = {
  list: '/access/groups',
  nameOf: (row) => str(row, 'groupid'),
  columns: [
    [words.group, (row) => text(row, 'groupid')],
    [words.users, (row) => text(row, 'users')],
    [words.comment, (row) => text(row, 'comment')],
  ],
  empty: { icon: 'pool', title: words.noGroups, text: words.noGroupsText },
  add: {
    operation: 'group_create',
    method: 'POST',
    path: () => '/access/groups',
    title: words.addGroup,
    submit: words.add,
    fields: ['groupid', 'comment'],
  },
  change: (row) => ({
    operation: 'group_update',
    method: 'PUT',
    path: () => path('access', 'groups', str(row, 'groupid')),
    title: words.changeOf(str(row, 'groupid')),
    submit: t.save,
    fields: ['comment'],
    values: strings(row, ['comment']),
  }),
  remove: (row) => api.delete(path('access', 'groups', str(row, 'groupid'))),
};

export const roles: RecordKind = {
  list: '/access/roles',
  nameOf: (row) => str(row, 'roleid'),
  columns: [
    [words.role, (row) => text(row, 'roleid')],
    [words.kind, (row) => (Number(row.special) ? words.builtIn : words.own)],
    [
      words.privileges,
      (row) => <span title={str(row, 'privs')}>{str(row, 'privs').split(',').join(', ')}</span>,
    ],
  ],
  empty: { icon: 'key', title: words.noRoles, text: '' },
  add: {
    operation: 'role_create',
    method: 'POST',
    path: () => '/access/roles',
    title: words.addRole,
    submit: words.add,
    fields: ['roleid', 'privs'],
  },
  remove: (row) => api.delete(path('access', 'roles', str(row, 'roleid'))),
  canRemove: (row) => !Number(row.special),
};

const aclKey: Record<string, string> = { user: 'users', group: 'groups', token: 'tokens' };

export const acl = (names: {
  roles: string[];
  users: string[];
  groups: string[];
  tokens: string[];
  paths: string[];
}): RecordKind => {
  return {
    list: '/access/acl',
    nameOf: (row) => `${str(row, 'path')} ${str(row, 'ugid')} ${str(row, 'roleid')}`,
    columns: [
      [words.path, (row) => <span className="mono">{text(row, 'path')}</span>],
      [words.kind, (row) => text(row, 'type')],
      [words.who, (row) => text(row, 'ugid')],
      [words.role, (row) => text(row, 'roleid')],
      [words.below, (row) => (Number(row.propagate ?? 1) ? t.guestPage.yes : t.guestPage.no)],
    ],
    empty: { icon: 'shield', title: words.noRights, text: words.noRightsText },
    add: {
      operation: 'acl_update',
      method: 'PUT',
      path: () => '/access/acl',
      title: words.addRight,
      submit: words.add,
      fields: ['path', 'users', 'groups', 'tokens', 'roles', 'propagate'],
      offers: {
        path: names.paths,
        roles: names.roles,
        users: names.users,
        groups: names.groups,
        tokens: names.tokens,
      },
    },
    remove: (row) =>
      api.put('/access/acl', {
        path: str(row, 'path'),
        roles: str(row, 'roleid'),
        [aclKey[str(row, 'type')] ?? 'users']: str(row, 'ugid'),
        delete: 1,
      }),
    removes: (row) => words.removesRight(str(row, 'ugid'), str(row, 'path')),
  };
};
