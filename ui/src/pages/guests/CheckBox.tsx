import type { MouseEvent } from 'react';
import { Icon } from '../../parts/Icon';

/** A box in a table: light enough for thousands of rows. */
export function CheckBox({
  state,
  label,
  onToggle,
}: {
  state: boolean | 'mixed';
  label: string;
  onToggle: (event: MouseEvent) => void;
}) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: an input has no mixed state in HTML.
    <button
      type="button"
      className="cb"
      role="checkbox"
      aria-checked={state}
      aria-label={label}
      onClick={(event) => {
        event.stopPropagation();
        onToggle(event);
      }}
    >
      {state === true && <Icon name="check" />}
      {state === 'mixed' && <Icon name="minus" />}
    </button>
  );
}
