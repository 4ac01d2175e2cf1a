import { bytes } from '../format';
import { t } from '../texts';
import { Bar } from './Bar';

/** How full something is: a bar, and the figures. Full means that writes fail, unless it is calm. */
export function Fill({
  used,
  size,
  label,
  isCalm,
}: {
  used: number;
  size: number;
  label: string;
  isCalm?: boolean;
}) {
  return (
    <span className="mm">
      <Bar part={size > 0 ? used / size : 0} label={label} isHard isCalm={isCalm} />
      <span>
        {bytes(used)}{' '}
        <span className="muted">
          {t.of} {bytes(size)}
        </span>
      </span>
    </span>
  );
}
