import type { CSSProperties } from 'react';

/** Only against a limit: a part of one. Above 90 % it warns, at the limit it is an error. */
export function Bar({ part, label }: { part: number; label: string }) {
  const shown = Math.max(0, Math.min(1, part));
  const tone = shown >= 0.98 ? 'e' : shown >= 0.9 ? 'w' : '';
  return (
    // biome-ignore lint/a11y/useSemanticElements: browsers draw a meter in their own colours.
    <span
      className={`bar ${tone}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(shown * 100)}
    >
      <i style={{ '--w': `${(shown * 100).toFixed(1)}%` } as CSSProperties} />
    </span>
  );
}

/** A ring that turns: something runs and nobody knows how far it is. */
export function Ring() {
  return (
    <svg className="ring turns" viewBox="0 0 16 16" aria-hidden="true">
      <circle className="a" cx="8" cy="8" r="6" />
      <circle className="v" cx="8" cy="8" r="6" strokeDasharray="12 37.7" />
    </svg>
  );
}
