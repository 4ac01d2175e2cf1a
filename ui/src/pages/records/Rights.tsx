import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { api } from '../../api/client';
import { useInventory } from '../../api/stream';
import { acl } from './access';
import { Records, type Row } from './Records';

/** The names in a list of records, for fields that refer to them. */
export function useNames(list: string, key: string): string[] {
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

function usePaths(): string[] {
  const { guests, pools, storages } = useInventory();
  return [
    '/',
    '/vms',
    '/nodes',
    '/storage',
    '/access',
    ...pools.map((pool) => `/pool/${pool.pool}`),
    ...new Set(storages.map((one) => `/storage/${one.storage}`)),
    ...guests.slice(0, 200).map((guest) => `/vms/${guest.vmid}`),
  ];
}

/** Rights of everybody: all of them, or those on one object, its own and what it inherits. */
export function Rights({
  of,
  above = [],
  children,
}: {
  /** The path of the object. */
  of?: string;
  /** Paths from which it inherits. */
  above?: string[];
  children?: ReactNode;
}) {
  const groups = useNames('/access/groups', 'groupid');
  const roles = useNames('/access/roles', 'roleid');
  const paths = usePaths();
  const people = useUsers().data ?? [];
  const tokens = people.flatMap((user) =>
    ((user.tokens as Row[] | undefined) ?? []).map((one) => `${user.userid}!${one.tokenid}`),
  );
  const users = people.map((user) => String(user.userid));
  const kind = acl({ roles, users, groups, tokens, paths });
  if (of === undefined) return <Records kind={kind}>{children}</Records>;
  const isOfIt = (row: Row) =>
    row.path === of || (above.includes(String(row.path)) && Number(row.propagate ?? 1) === 1);
  return (
    <Records
      kind={{
        ...kind,
        rowsOf: (rows) => rows.filter(isOfIt),
        add: kind.add && { ...kind.add, values: { path: of } },
        canRemove: (row) => row.path === of,
      }}
    >
      {children}
    </Records>
  );
}
