/** What the shell remembers: tree, drawer, palette, scheme. Nothing secret is among it. */

import { Store, useStore } from '../store';

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

const view = new Store<View>({
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
});

export function setView(change: Partial<View>) {
  const next = { ...view.get(), ...change };
  const { arrange, closed, isTreeHidden } = next;
  localStorage.setItem(KEPT, JSON.stringify({ arrange, closed, isTreeHidden } satisfies Kept));
  if (change.scheme) localStorage.setItem('ostler-scheme', change.scheme);
  view.set(next);
}

export const getView = (): View => view.get();

export const useView = (): View => useStore(view);

export function switchScheme() {
  setView({ scheme: getView().scheme === 'dark' ? 'light' : 'dark' });
}

/** Opens the drawer at a task. */
export function showTask(upid: string) {
  setView({ isDrawerOpen: true, task: upid });
}
