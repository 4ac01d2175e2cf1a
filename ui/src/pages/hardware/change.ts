/** A change of a configuration before it is sent: as a diff, as a request, as a command. */

import type { Params } from '../../api/client';
import type { DiffLine } from '../../parts/CodeBox';

/** Keys and their new values; null removes the key. */
export type Draft = Map<string, string | null>;

/** The draft without what is as before. */
export function changesOf(before: Map<string, string>, draft: Draft): Draft {
  const changes: Draft = new Map();
  for (const [key, value] of draft) {
    if (value !== (before.get(key) ?? null)) changes.set(key, value);
  }
  return changes;
}

/** Values that are never shown. */
export const isSecret = (key: string) => /^(ci)?password$/.test(key);

/** What the configuration loses and gains, with the line before for orientation. */
export function diffOf(before: Map<string, string>, changes: Draft, secret: string): DiffLine[] {
  const lines: DiffLine[] = [];
  const shown = (key: string, value: string) =>
    `${key}: ${isSecret(key) ? secret : value.replaceAll('\n', '\\n')}`;
  const keys = [...new Set([...before.keys(), ...changes.keys()])].sort();
  keys.forEach((key, at) => {
    if (!changes.has(key)) return;
    const previous = keys[at - 1];
    const context = previous !== undefined && !changes.has(previous) && before.get(previous);
    if (previous !== undefined && context) {
      lines.push({ kind: 'ctx', text: shown(previous, context) });
    }
    const [old, value] = [before.get(key), changes.get(key)];
    if (old !== undefined) lines.push({ kind: 'del', text: shown(key, old) });
    if (value != null) lines.push({ kind: 'add', text: shown(key, value) });
  });
  return lines;
}

/** The parameters of the request that makes the change. */
export function paramsOf(changes: Draft, digest?: string): Params {
  const params: Params = {};
  const removed: string[] = [];
  for (const [key, value] of changes) {
    if (value === null) removed.push(key);
    else params[key] = key === 'sshkeys' ? encodeURIComponent(value) : value;
  }
  if (removed.length > 0) params.delete = removed.join(',');
  return digest ? { ...params, digest } : params;
}

/** A word of a shell command. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A shell goes on reading. */
export const NEXT_LINE = ' \\\n  ';

/** The lines of a command, each option on a line of its own. */
export function commandOf(start: string, params: Params, secret: string): string {
  const options = Object.entries(params)
    .filter(([key, value]) => value !== undefined && key !== 'digest')
    .map(([key, value]) => {
      const text = typeof value === 'boolean' ? String(Number(value)) : String(value);
      return `--${key} ${isSecret(key) ? secret : quoted(text)}`;
    });
  return [start, ...options].join(NEXT_LINE);
}

/** The request as text: verb and address, then a parameter a line. */
export function requestOf(verb: string, path: string, params: Params, secret: string): string {
  const lines = Object.entries(params)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${isSecret(key) ? secret : value}`);
  return [`${verb.toUpperCase()} /api2/json${path}`, ...lines].join('\n');
}
