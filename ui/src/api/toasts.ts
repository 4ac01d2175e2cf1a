/** Short messages at the bottom right: started, done, failed. Three at most; errors stay. */

import { useSyncExternalStore } from 'react';

export type Toast = {
  id: number;
  tone: 'busy' | 'running' | 'warning' | 'error';
  text: string;
  detail?: string;
  /** The task that it is about. */
  upid?: string;
  /** The page of what the task has made. */
  made?: string;
};

const SHOWN_MS = 6000;
const MOST = 3;

let toasts: Toast[] = [];
let next = 1;
const listeners = new Set<() => void>();

function set(list: Toast[]) {
  toasts = list;
  for (const listener of listeners) listener();
}

export function toast(message: Omit<Toast, 'id'>) {
  const id = next++;
  const others = toasts.filter((one) => !message.upid || one.upid !== message.upid);
  set([...others, { ...message, id }].slice(-MOST));
  if (message.tone !== 'error') setTimeout(() => dismiss(id), SHOWN_MS);
}

export function dismiss(id: number) {
  set(toasts.filter((one) => one.id !== id));
}

export function useToasts(): Toast[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
}
