/** The operation table as the node serves it: what parameters there are, and their limits. */

import { useQuery } from '@tanstack/react-query';
import { ApiError } from '../../api/client';

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

async function readTable(): Promise<Operation[]> {
  const answer = await fetch('/pve-docs/api-viewer/operations.json');
  if (!answer.ok) throw new ApiError(answer.status, answer.statusText);
  return answer.json();
}

export function useOperations() {
  return useQuery({
    queryKey: ['operations'],
    queryFn: readTable,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** The parameters of an operation by name; those that are not built are left out. */
export function fieldsOf(operations: Operation[], name: string): Map<string, Field> {
  const params = operations.find((one) => one.name === name)?.params ?? [];
  return new Map(params.filter((field) => field.unbuilt !== 1).map((field) => [field.name, field]));
}

/** The field of a key: `net0` is described by `net[n]`. */
export function fieldOf(fields: Map<string, Field>, key: string): Field | undefined {
  return fields.get(key) ?? fields.get(key.replace(/\d+$/, '[n]'));
}

/** The properties of a property string that a form shows. */
export function propertiesOfField(field: Field): Field[] | undefined {
  if (typeof field.format !== 'object') return undefined;
  return Object.entries(field.format)
    .filter(([, one]) => !one.alias && one.unbuilt !== 1)
    .map(([name, one]) => ({ ...one, name }));
}

/** The values that can be chosen. */
export function choicesOf(field: Field): string[] | undefined {
  const missing = Array.isArray(field.unbuilt) ? field.unbuilt : [];
  return field.enum?.filter((value) => !missing.includes(value));
}
