/** What the shell remembers: tree, drawer, palette, scheme. Nothing secret is among it. */

import { useSyncExternalStore } from 'react';

export type Arrange = 'node' | 'pool' | 'tag';
export type Scheme = 'light' | 'dark';

export type View = {
  arrange: Arrange;
  /** Keys of tree rows that are closed. */
  closed: string[];
  isTreeHidden: boolean;
  /** On a phone the tree lies over the page. */
  isTreeOver: boolean;
  isDrawerOpen: boolean;
  task?: string;
  isPaletteOpen: boolean;
  isHelpOpen: boolean;
  scheme: Scheme;
};

const KEPT = 'ostler-view';
type Kept = Pick<View, 'arrange' | 'closed' | 'isTreeHidden'>;

function readKept(): Partial<Kept> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEPT) ?? '{}');
    return typeof kept === 'object' && kept !== null ? kept : {};
  } catch {
    return {};
  }
}

let view: View = {
  arrange: 'node',
  closed: [],
  isTreeHidden: false,
  ...readKept(),
  isTreeOver: false,
  isDrawerOpen: false,
  isPaletteOpen: false,
  isHelpOpen: false,
  scheme:
    document.documentElement.getAttribute('data-mantine-color-scheme') === 'dark'
      ? 'dark'
      : 'light',
};

const listeners = new Set<() => void>();

export function setView(change: Partial<View>) {
  view = { ...view, ...change };
  const { arrange, closed, isTreeHidden } = view;
  localStorage.setItem(KEPT, JSON.stringify({ arrange, closed, isTreeHidden } satisfies Kept));
  if (change.scheme) localStorage.setItem('ostler-scheme', change.scheme);
  for (const listener of listeners) listener();
}

export function getView(): View {
  return view;
}

export function useView(): View {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, getView);
}

export function switchScheme() {
  setView({ scheme: view.scheme === 'dark' ? 'light' : 'dark' });
}

/** Opens the drawer at a task. */
export function showTask(upid: string) {
  setView({ isDrawerOpen: true, task: upid });
}
