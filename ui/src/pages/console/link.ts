/** What both kinds of console have in common. */

export type Watcher = { connected: () => void; closed: (why?: string) => void };

/** A key of the bar: what a terminal gets, and the X11 key of a screen. */
export type BarKey = { label: string; text: string; keysym: number };

export type Link = {
  paste: (text: string) => void;
  key: (key: BarKey) => void;
  /** Only a screen has it. */
  ctrlAltDel?: () => void;
  focus: () => void;
  close: () => void;
};

export const BAR_KEYS: BarKey[] = [
  { label: 'Esc', text: '\x1b', keysym: 0xff1b },
  { label: 'Tab', text: '\t', keysym: 0xff09 },
  { label: 'Ctrl C', text: '\x03', keysym: 0 },
  { label: 'Ctrl D', text: '\x04', keysym: 0 },
  { label: '↑', text: '\x1b[A', keysym: 0xff52 },
  { label: '↓', text: '\x1b[B', keysym: 0xff54 },
  { label: '←', text: '\x1b[D', keysym: 0xff51 },
  { label: '→', text: '\x1b[C', keysym: 0xff53 },
  { label: 'Home', text: '\x1b[H', keysym: 0xff50 },
  { label: 'End', text: '\x1b[F', keysym: 0xff57 },
  { label: 'PgUp', text: '\x1b[5~', keysym: 0xff55 },
  { label: 'PgDn', text: '\x1b[6~', keysym: 0xff56 },
];
