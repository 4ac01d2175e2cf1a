/** What forms need of the operation table: fields by name, and what can be chosen. */

import { type Field, findOperation, type Operation } from '../../api/operations';

function builtOf(operation: Operation | undefined): Map<string, Field> {
  const built = (operation?.params ?? []).filter((field) => field.unbuilt !== 1);
  return new Map(built.map((field) => [field.name, field]));
}

/** The parameters of an operation by name; those that are not built are left out. */
export const fieldsOf = (operations: Operation[], name: string) =>
  builtOf(operations.find((one) => one.name === name));

/** The same of the operation at an address. */
export const fieldsAt = (operations: Operation[], method: string, path: string) =>
  builtOf(findOperation(operations, method, path));

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
