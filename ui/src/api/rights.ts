/** What the caller may do, as the server says it. */

import { useQuery } from '@tanstack/react-query';
import { api } from './client';

/** Whether the caller has a privilege on an object: not before the server has said so. */
export function useRight(on: string, privilege: string): boolean {
  const rights = useQuery({
    queryKey: ['rights', on],
    queryFn: ({ signal }) =>
      api.get<Record<string, Record<string, number>>>('/access/permissions', { path: on }, signal),
    staleTime: 60_000,
  });
  return rights.data?.[on]?.[privilege] !== undefined;
}
