/** Keys of the page: single letters do nothing in fields, consoles and dialogs. */

import { useEffect, useRef } from 'react';

/** Keys by name: `f`, `S` (with shift), `ctrl+k`, `g d` (one after the other). */
export type Keys = Record<string, (event: KeyboardEvent) => void>;

const SEQUENCE_MS = 1200;
const stack: { current: Keys }[] = [];
let prefix: { key: string; at: number } | undefined;

export function nameOf(event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey'>) {
  if (event.altKey) return '';
  const key = event.key.length === 1 ? event.key : event.key.toLowerCase();
  return event.ctrlKey || event.metaKey ? `ctrl+${key.toLowerCase()}` : key;
}

/** A console or a dialog has its keys to itself. */
const hasOwnKeys = (target: HTMLElement) =>
  target.closest('[data-keyboard="own"], [role="dialog"]') !== null;

const isField = (target: HTMLElement) =>
  target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);

/** Whether a key is for what has the focus: text is typed, a button pressed, a link followed. */
function isForTarget(name: string, target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement) || name === 'ctrl+k') return false;
  if (hasOwnKeys(target)) return true;
  if (!isField(target)) return name === 'enter' && target.closest('a, button') !== null;
  // Out of the field: then the letters are keys again.
  if (name === 'escape') target.blur();
  return true;
}

function find(name: string) {
  for (const keys of stack.toReversed()) {
    const handler = keys.current[name];
    if (handler) return handler;
  }
}

function onKeyDown(event: KeyboardEvent) {
  const name = nameOf(event);
  if (!name || event.defaultPrevented) return;
  if (isForTarget(name, event.target)) return;
  const isSequence = prefix && Date.now() - prefix.at < SEQUENCE_MS;
  const handler = (isSequence && prefix && find(`${prefix.key} ${name}`)) || find(name);
  prefix = name === 'g' ? { key: name, at: Date.now() } : undefined;
  if (!handler) return;
  event.preventDefault();
  handler(event);
}

/** Listens while the component is shown; the innermost one wins. */
export function useKeys(keys: Keys) {
  const entry = useRef(keys);
  entry.current = keys;
  useEffect(() => {
    if (stack.length === 0) window.addEventListener('keydown', onKeyDown);
    stack.push(entry);
    return () => {
      stack.splice(stack.indexOf(entry), 1);
      if (stack.length === 0) window.removeEventListener('keydown', onKeyDown);
    };
  }, []);
}
