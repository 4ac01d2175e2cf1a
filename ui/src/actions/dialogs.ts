/** The one dialog that may be open. */

import type { Guest } from '../api/resources';
import { Store, useStore } from '../store';

export type DialogKind =
  | 'clone'
  | 'exec'
  | 'migrate'
  | 'snapshot'
  | 'template'
  | 'destroy'
  | 'stop'
  | 'reset';

export type OpenDialog = { kind: DialogKind; guests: Guest[] };

const open = new Store<OpenDialog | undefined>(undefined);

export function openDialog(kind: DialogKind, ...guests: Guest[]) {
  open.set({ kind, guests });
}

export function closeDialog() {
  open.set(undefined);
}

export const useDialog = (): OpenDialog | undefined => useStore(open);
