import { type LastHour, useLastHour } from '../api/lastHour';

const WIDTH = 64;
const HEIGHT = 18;
/** An hour, a value a minute. */
const POINTS = 60;
/** In thousandths. */
const FULL = 1000;

const x = (at: number, count: number) => (WIDTH * (POINTS - count + at)) / (POINTS - 1);
const y = (value: number) => HEIGHT - 0.5 - (HEIGHT - 1) * Math.min(1, value / FULL);
const point = (at: number, value: number, count: number) =>
  `${x(at, count).toFixed(1)} ${y(value).toFixed(1)}`;

/** The lines between gaps, each as its points from left to right. */
function linesOf(hour: LastHour): { from: number; to: number; points: string[] }[] {
  const lines: { from: number; to: number; points: string[] }[] = [];
  let isGap = true;
  hour.forEach((value, at) => {
    if (value === null) {
      isGap = true;
      return;
    }
    if (isGap) lines.push({ from: at, to: at, points: [] });
    isGap = false;
    const line = lines.at(-1);
    line?.points.push(point(at, value, hour.length));
    if (line) line.to = at;
  });
  return lines;
}

export function sparkPaths(hour: LastHour): { line: string; area: string } {
  const lines = linesOf(hour);
  const line = lines.map(({ points }) => `M${points.join('L')}`).join('');
  const foot = (at: number) => `${x(at, hour.length).toFixed(1)} ${HEIGHT}`;
  const area = lines.map(
    ({ from, to, points }) => `M${foot(from)}L${points.join('L')}L${foot(to)}Z`,
  );
  return { line, area: area.join('') };
}

/** The processors of a guest in the last hour; the value beside it says how much it is now. */
export function Spark({ vmid }: { vmid: number }) {
  const hour = useLastHour(vmid);
  const { line, area } = sparkPaths(hour ?? []);
  return (
    <svg
      className="spark"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {line && (
        <>
          <path className="ar" d={area} />
          <path d={line} />
        </>
      )}
    </svg>
  );
}
