/** Icons on a 16 px grid, 1.5 px stroke, in the colour of the text. */

import type { ReactNode } from 'react';

const SHAPES = {
  logo: (
    <path d="M3.2 13.5h2.6M10.2 13.5h2.6M4.5 13.2V7.6a3.5 3.5 0 0 1 7 0v5.6" strokeWidth="2.2" />
  ),
  search: (
    <>
      <circle cx="7" cy="7" r="4.25" />
      <path d="m10.2 10.2 3.3 3.3" />
    </>
  ),
  right: <path d="m6 3.5 4.5 4.5L6 12.5" />,
  down: <path d="M3.5 6 8 10.5 12.5 6" />,
  up: <path d="M3.5 10 8 5.5l4.5 4.5" />,
  x: <path d="m4 4 8 8M12 4l-8 8" />,
  plus: <path d="M8 3v10M3 8h10" />,
  check: <path d="m3 8.5 3.3 3.3L13 5" />,
  minus: <path d="M3.5 8h9" />,
  dots: <path d="M3.5 8h.01M8 8h.01M12.5 8h.01" strokeWidth="2.2" />,
  play: <path d="M4.75 3v10l8-5z" />,
  stop: <rect x="4" y="4" width="8" height="8" rx="1" />,
  pause: <path d="M5.5 3.5v9M10.5 3.5v9" strokeWidth="2" />,
  power: <path d="M8 2v5.5M4.6 4.2a5 5 0 1 0 6.8 0" />,
  reboot: <path d="M12.8 8a4.8 4.8 0 1 1-1.5-3.5M11.6 1.8v2.9H8.7" />,
  migrate: <path d="M2 5h9M8.5 2.5 11 5 8.5 7.5M14 11H5M7.5 8.5 5 11l2.5 2.5" />,
  camera: (
    <>
      <path d="M2 5.5h2.5L5.7 3.7h4.6l1.2 1.8H14v7H2z" />
      <circle cx="8" cy="8.8" r="2.1" />
    </>
  ),
  clone: (
    <>
      <rect x="2.5" y="2.5" width="8" height="8" rx="1" />
      <path d="M12.5 5.5h1v8h-8v-1" />
    </>
  ),
  console: (
    <>
      <rect x="1.8" y="3" width="12.4" height="10" rx="1.2" />
      <path d="m4.4 6 2 2-2 2M8.4 10.2h3" />
    </>
  ),
  node: (
    <>
      <rect x="2" y="2.5" width="12" height="4.6" rx="1" />
      <rect x="2" y="8.9" width="12" height="4.6" rx="1" />
      <path d="M4.6 4.8h.01M4.6 11.2h.01" strokeWidth="1.9" />
    </>
  ),
  dc: <path d="M2.5 13.5v-11h5v11M7.5 6.5h6v7M1.5 13.5h13M4.5 5h1M4.5 8h1M10 9.2h1" />,
  disk: (
    <>
      <ellipse cx="8" cy="3.9" rx="5.2" ry="2" />
      <path d="M2.8 3.9v8.2c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2V3.9M2.8 8c0 1.1 2.3 2 5.2 2s5.2-.9 5.2-2" />
    </>
  ),
  net: (
    <>
      <rect x="6" y="1.8" width="4" height="3.6" rx=".6" />
      <rect x="1.8" y="10.6" width="4" height="3.6" rx=".6" />
      <rect x="10.2" y="10.6" width="4" height="3.6" rx=".6" />
      <path d="M8 5.4V8M3.8 10.6V8h8.4v2.6" />
    </>
  ),
  tag: (
    <>
      <path d="M2.2 2.8v4.6l6.4 6.4 4.9-4.9L7.1 2.5H2.5z" />
      <path d="M5 5.3h.01" strokeWidth="1.9" />
    </>
  ),
  pool: <path d="m8 2 6 3-6 3-6-3zM2.4 8 8 10.8 13.6 8M2.4 11 8 13.8l5.6-2.8" />,
  sun: (
    <>
      <circle cx="8" cy="8" r="2.8" />
      <path d="M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9" />
    </>
  ),
  moon: <path d="M13.3 9.6A5.7 5.7 0 0 1 6.4 2.7a5.7 5.7 0 1 0 6.9 6.9z" />,
  user: (
    <>
      <circle cx="8" cy="5.4" r="2.6" />
      <path d="M2.9 13.8c.5-2.7 2.5-4.1 5.1-4.1s4.6 1.4 5.1 4.1" />
    </>
  ),
  clock: (
    <>
      <circle cx="8" cy="8" r="5.7" />
      <path d="M8 4.8V8l2.2 1.5" />
    </>
  ),
  warn: (
    <>
      <path d="M8 2.2 14.4 13.4H1.6z" />
      <path d="M8 6.6v3M8 11.5h.01" strokeWidth="1.7" />
    </>
  ),
  err: (
    <>
      <path d="M5.4 2h5.2L14 5.4v5.2L10.6 14H5.4L2 10.6V5.4z" />
      <path d="m6 6 4 4M10 6l-4 4" />
    </>
  ),
  info: (
    <>
      <circle cx="8" cy="8" r="5.9" />
      <path d="M8 7.4v3.4M8 5.1h.01" strokeWidth="1.7" />
    </>
  ),
  ok: (
    <>
      <circle cx="8" cy="8" r="5.9" />
      <path d="m5.3 8.2 1.9 1.9 3.6-3.9" />
    </>
  ),
  unknown: (
    <>
      <circle cx="8" cy="8" r="5.9" strokeDasharray="2.2 1.5" />
      <path
        d="M6.3 6.4c.1-1 .8-1.6 1.7-1.6s1.7.6 1.7 1.5c0 1.2-1.7 1.3-1.7 2.5M8 11h.01"
        strokeWidth="1.4"
      />
    </>
  ),
  lock: (
    <>
      <rect x="3" y="7" width="10" height="6.8" rx="1" />
      <path d="M5.2 7V5a2.8 2.8 0 0 1 5.6 0v2" />
    </>
  ),
  columns: (
    <>
      <rect x="2" y="2.8" width="12" height="10.4" rx="1" />
      <path d="M6 2.8v10.4M10 2.8v10.4" />
    </>
  ),
  filter: <path d="M2 3.5h12M4.5 8h7M6.8 12.5h2.4" />,
  ext: <path d="M9 2.5h4.5V7M13.2 2.8 7.5 8.5M11.5 9.5v4h-9v-9h4" />,
  keyboard: (
    <>
      <rect x="1.5" y="4" width="13" height="8.2" rx="1.2" />
      <path d="M4 6.6h.01M6.7 6.6h.01M9.3 6.6h.01M12 6.6h.01M5 9.6h6" strokeWidth="1.6" />
    </>
  ),
  paste: (
    <>
      <path d="M5.5 3H3.2v11h9.6V3h-2.3" />
      <rect x="5.5" y="1.8" width="5" height="2.6" rx=".6" />
    </>
  ),
  full: <path d="M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10" />,
  trash: <path d="M2.5 4.2h11M6 4V2.4h4V4M4 4.2l.6 9.4h6.8l.6-9.4M6.6 7v4M9.4 7v4" />,
  edit: <path d="M2.8 13.2l.6-2.9 7.4-7.4 2.3 2.3-7.4 7.4z" />,
  copy: (
    <>
      <rect x="5" y="5" width="8.5" height="8.5" rx="1" />
      <path d="M10.8 2.5H2.5v8.3" />
    </>
  ),
  cpu: (
    <>
      <rect x="4" y="4" width="8" height="8" rx="1" />
      <path d="M6.5 1.8V4M9.5 1.8V4M6.5 12v2.2M9.5 12v2.2M1.8 6.5H4M1.8 9.5H4M12 6.5h2.2M12 9.5h2.2" />
    </>
  ),
  mem: (
    <path d="M1.8 4.5h12.4v6.6H1.8zM4 11.1v1.6M6.7 11.1v1.6M9.3 11.1v1.6M12 11.1v1.6M4.8 6.8v2M8 6.8v2M11.2 6.8v2" />
  ),
  cd: (
    <>
      <circle cx="8" cy="8" r="5.9" />
      <circle cx="8" cy="8" r="1.6" />
    </>
  ),
  key: (
    <>
      <circle cx="5" cy="11" r="2.7" />
      <path d="M7 9 13.5 2.5M11 5l2 2" />
    </>
  ),
  list: (
    <path d="M5.5 4h8.5M5.5 8h8.5M5.5 12h8.5M2.3 4h.01M2.3 8h.01M2.3 12h.01" strokeWidth="1.6" />
  ),
  undo: <path d="M5.5 3 2.5 6l3 3M2.8 6h6.4a4 4 0 0 1 0 8H6" />,
  menu: <path d="M2 4h12M2 8h12M2 12h12" />,
  'down-tray': <path d="M8 2v7.5M5 6.8 8 9.8l3-3M2.5 11v2.7h11V11" />,
  gone: <path d="M3.5 2.5h6l3 3v8h-9zM6 8l4 4M10 8l-4 4" />,
  zoom: (
    <>
      <circle cx="8" cy="8" r="5.9" />
      <path d="M8 5v6M5 8h6" />
    </>
  ),
  branch: (
    <>
      <circle cx="4.5" cy="3.5" r="1.7" />
      <circle cx="4.5" cy="12.5" r="1.7" />
      <circle cx="11.5" cy="6.5" r="1.7" />
      <path d="M4.5 5.2v5.6M11.5 8.2c0 2-2 2.6-7 2.6" />
    </>
  ),
  shield: <path d="M8 1.8 3 3.6v4c0 3.1 2 5.4 5 6.6 3-1.2 5-3.5 5-6.6v-4z" />,
  link: (
    <path d="M6.5 9.5a2.6 2.6 0 0 0 3.7 0l2.3-2.3a2.6 2.6 0 0 0-3.7-3.7l-.9.9M9.5 6.5a2.6 2.6 0 0 0-3.7 0L3.5 8.8a2.6 2.6 0 0 0 3.7 3.7l.9-.9" />
  ),
  'up-tray': <path d="M8 9.8V2.3M5 5 8 2l3 3M2.5 11v2.7h11V11" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof SHAPES;

/** Decorative, unless it has a label. */
export function Icon({
  name,
  className = '',
  label,
}: {
  name: IconName;
  className?: string;
  label?: string;
}) {
  return (
    <svg
      className={`ic ${className}`}
      viewBox="0 0 16 16"
      role={label ? 'img' : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
    >
      {SHAPES[name]}
    </svg>
  );
}
