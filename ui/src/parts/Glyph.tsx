/** The outline is the kind, the inside the state: never colour alone. */

import type { ReactNode } from 'react';
import type { GuestState } from '../api/resources';

export type Kind = 'vm' | 'ct' | 'node';
type Inside = GuestState;

const TONES: Record<Inside, string> = {
  running: 'running',
  stopped: 'stopped',
  paused: 'paused',
  busy: 'busy',
  error: 'error',
  unknown: 'unknown',
  template: 'stopped',
};

export const toneOf = (state: Inside) => TONES[state];

function inside(state: Inside, y: number): ReactNode {
  switch (state) {
    case 'template':
      return <path d={`M5.2 ${y}h5.6`} />;
    case 'paused':
      return <path d={`M6.6 ${y - 1.8}v3.6M9.4 ${y - 1.8}v3.6`} />;
    case 'busy':
      return <path d={`M5 ${y}h5.4M8.3 ${y - 2}l2.2 2-2.2 2`} />;
    case 'unknown':
      return (
        <path
          d={`M6.7 ${y - 0.9}c.1-.9.6-1.2 1.3-1.2.8 0 1.3.5 1.3 1.1 0 .9-1.3.9-1.3 1.8M8 ${y + 2.4}h.01`}
        />
      );
    case 'error':
      return <path d={`m6.4 ${y - 1.6} 3.2 3.2M9.6 ${y - 1.6} 6.4 ${y + 1.6}`} />;
    default:
      return null;
  }
}

export function Glyph({ kind, state }: { kind: Kind; state: Inside }) {
  const dashed = state === 'template' || state === 'unknown' ? '2 1.6' : undefined;
  const shape = { className: state === 'running' ? 'f' : undefined, strokeDasharray: dashed };
  return (
    <svg className={`gl t-${TONES[state]}`} viewBox="0 0 16 16" aria-hidden="true">
      {kind === 'vm' && (
        <>
          <rect x="1.75" y="2.75" width="12.5" height="9" rx="1.6" {...shape} />
          <path d="M5.5 14h5" />
        </>
      )}
      {kind === 'ct' && <path d="M8 1.6 13.8 4.9v6.2L8 14.4 2.2 11.1V4.9z" {...shape} />}
      {kind === 'node' && (
        <>
          <rect x="2" y="2.5" width="12" height="4.8" rx="1" {...shape} />
          <rect x="2" y="8.7" width="12" height="4.8" rx="1" {...shape} />
        </>
      )}
      {inside(state, kind === 'vm' ? 7.25 : 8)}
    </svg>
  );
}
