/** The one dialog that may be open. */

import { useSyncExternalStore } from 'react';
import type { Guest } from '../api/resources';

export type DialogKind =
  | 'clone'
  | 'migrate'
  | 'snapshot'
  | 'template'
  | 'destroy'
  | 'stop'
  | 'reset';

export type OpenDialog = { kind: DialogKind; guests: Guest[] };

let open: OpenDialog | undefined;
const listeners = new Set<() => void>();

function set(next: OpenDialog | undefined) {
  open = next;
  for (const listener of listeners) listener();
}

export function openDialog(kind: DialogKind, ...guests: Guest[]) {
  set({ kind, guests });
}

export function closeDialog() {
  set(undefined);
}

export function useDialog(): OpenDialog | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => open,
  );
}
