import type { CSSProperties } from 'react';

/** Only against a limit: a part of one. Near the limit it warns; where full means broken, it is an error. */
export function Bar({
  part,
  label,
  isHard = false,
  isCalm = false,
}: {
  part: number;
  label: string;
  isHard?: boolean;
  /** All of it may be in use: nothing to warn of. */
  isCalm?: boolean;
}) {
  const shown = Math.max(0, Math.min(1, part));
  const near = isHard ? 0.9 : 0.95;
  const tone = isCalm || shown < near ? '' : isHard && shown >= 0.98 ? 'e' : 'w';
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

/** A ring that turns: something runs, and how far it is is unknown. */
export function Ring() {
  return (
    <svg className="ring turns" viewBox="0 0 16 16" aria-hidden="true">
      <circle className="a" cx="8" cy="8" r="6" />
      <circle className="v" cx="8" cy="8" r="6" strokeDasharray="12 37.7" />
    </svg>
  );
}
