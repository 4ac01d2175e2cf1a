/** The operation table as the node serves it: what it offers, with which parameters and limits. */

import { type QueryClient, queryOptions, useQuery } from '@tanstack/react-query';
import { file } from './client';

export type Field = {
  name: string;
  type?: 'string' | 'integer' | 'number' | 'boolean' | 'array';
  enum?: string[];
  default?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  pattern?: string;
  optional?: number;
  /** A property string has its properties here, anything else a name. */
  format?: string | Record<string, Omit<Field, 'name'>>;
  /** 1: not built yet; or the values that are not. */
  unbuilt?: number | string[];
  default_key?: number;
  alias?: string;
  keyAlias?: string;
  in?: 'path';
};

export type Operation = {
  path: string;
  method: string;
  name: string;
  summary: string;
  params: Field[];
  returns: unknown;
  permissions: unknown;
  unconfigured?: boolean;
};

const TABLE = queryOptions({
  queryKey: ['operations'],
  queryFn: () => file<Operation[]>('/pve-docs/api-viewer/operations.json'),
  staleTime: Number.POSITIVE_INFINITY,
});

export function useOperations() {
  return useQuery(TABLE);
}

/** The table, once something else has read it: the first page does without its weight. */
export function useKnownOperations(): Operation[] | undefined {
  return useQuery({ ...TABLE, enabled: false }).data;
}

/** The table, if it has been read. */
export function knownOperations(client: QueryClient): Operation[] | undefined {
  return client.getQueryData(TABLE.queryKey);
}

export const findOperation = (table: Operation[] | undefined, method: string, path: string) =>
  table?.find((one) => one.method === method && one.path === path);

/** Whether there is such an operation. Until the table is read, what is asked for is tried. */
export function hasOperation(
  table: Operation[] | undefined,
  method: string,
  path: string,
): boolean {
  return table === undefined || findOperation(table, method, path) !== undefined;
}
