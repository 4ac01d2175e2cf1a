/** Short messages at the bottom right: started, done, failed. Three at most; errors stay. */

import { Store, useStore } from '../store';

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

const toasts = new Store<Toast[]>([]);
let next = 1;

export function toast(message: Omit<Toast, 'id'>) {
  const id = next++;
  const others = toasts.get().filter((one) => !message.upid || one.upid !== message.upid);
  toasts.set([...others, { ...message, id }].slice(-MOST));
  if (message.tone !== 'error') setTimeout(() => dismiss(id), SHOWN_MS);
}

export function dismiss(id: number) {
  toasts.set(toasts.get().filter((one) => one.id !== id));
}

export const useToasts = (): Toast[] => useStore(toasts);
