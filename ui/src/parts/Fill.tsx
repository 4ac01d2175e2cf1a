import { bytes } from '../format';
import { t } from '../texts';
import { Bar } from './Bar';

/** How full something is: a bar, and the figures. Full means that writes fail. */
export function Fill({ used, size, label }: { used: number; size: number; label: string }) {
  return (
    <span className="mm">
      <Bar part={size > 0 ? used / size : 0} label={label} isHard />
      <span>
        {bytes(used)}{' '}
        <span className="muted">
          {t.of} {bytes(size)}
        </span>
      </span>
    </span>
  );
}
