/** What forms need of the operation table: fields by name, and what can be chosen. */

import type { Field, Operation } from '../../api/operations';

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
