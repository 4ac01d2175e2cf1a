/** The lines of a graph, drawn by uPlot. Loaded when the first graph is shown. */

import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useView } from '../shell/view';
import type { Timeframe } from './history';
import { digits, marks, scaleOf, tickWord, timeWord, type Unit } from './scale';

export type PlotData = [number[], ...(number | null)[][]];

export type PlotProps = {
  data: PlotData;
  names: string[];
  timeframe: Timeframe;
  unit: Unit;
  /** The top of the axis is at least here. */
  least?: number;
  limit?: { value: number; label: string };
  /** Graphs with the same name share one cursor. */
  sync: string;
  /** Moved with the keyboard; undefined where the pointer leads. */
  cursor?: number;
  onCursor: (index: number | undefined) => void;
};

const HEIGHT = 176;
const DASHES = [undefined, [4, 2.5], [1.5, 2.5]];

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return {
    series: ['--series-1', '--series-2', '--series-3', '--series-4'].map(of),
    grid: of('--grid'),
    text: of('--text-muted'),
    font: `11px ${of('--font-ui')}`,
  };
}

/** The third parameter takes the other graphs along; its types lack it. */
type Leading = uPlot & {
  setCursor: (at: { left: number; top: number }, fires: boolean, leads: boolean) => void;
};

type Colours = ReturnType<typeof colours>;

function top({ data, least, limit }: Pick<PlotProps, 'data' | 'least' | 'limit'>): number {
  let highest = Math.max(least ?? 0, limit?.value ?? 0);
  for (const values of data.slice(1)) {
    for (const value of values) if (value !== null && value > highest) highest = value;
  }
  return highest || 1;
}

/** The dotted line of a limit, with its name. */
function drawLimit(plot: uPlot, limit: PlotProps['limit'], { text, font }: Colours) {
  if (!limit) return;
  const { ctx, bbox } = plot;
  const y = Math.round(plot.valToPos(limit.value, 'y', true));
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = text;
  ctx.fillStyle = text;
  ctx.lineWidth = ratio;
  ctx.setLineDash([2 * ratio, 3 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = font.replace('11px', `${11 * ratio}px`);
  ctx.textAlign = 'right';
  ctx.textBaseline = 'top';
  ctx.fillText(limit.label, bbox.left + bbox.width - 2 * ratio, y + 3 * ratio);
  ctx.restore();
}

/** The time at the cursor, below it. */
function markTime(plot: uPlot, mark: HTMLElement, timeframe: Timeframe) {
  const { idx, left = 0 } = plot.cursor;
  const time = idx === null || idx === undefined ? undefined : plot.data[0][idx];
  mark.hidden = time === undefined;
  if (time === undefined) return;
  mark.textContent = timeWord(timeframe, time);
  const half = mark.offsetWidth / 2;
  const right = plot.width - 2 * half;
  mark.style.left = `${Math.max(0, Math.min(plot.over.offsetLeft + left - half, right))}px`;
}

function options(
  props: PlotProps,
  latest: { current: PlotProps },
  width: number,
  mark: HTMLElement,
): uPlot.Options {
  const look = colours();
  const scale = () => scaleOf(latest.current.unit, top(latest.current));
  return {
    width,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    select: { show: false, left: 0, top: 0, width: 0, height: 0 },
    cursor: {
      y: false,
      drag: { setScale: false, x: false, y: false },
      points: { size: 7 },
      sync: { key: props.sync },
    },
    scales: {
      x: { time: true },
      y: { range: () => [0, top(latest.current) * 1.04] },
    },
    axes: [
      {
        stroke: look.text,
        font: look.font,
        size: 24,
        gap: 4,
        space: 64,
        grid: { show: false },
        ticks: { show: false },
        values: (_, splits) => splits.map((time) => tickWord(latest.current.timeframe, time)),
      },
      {
        stroke: look.text,
        font: look.font,
        size: 40,
        gap: 6,
        grid: { stroke: look.grid, width: 1 },
        ticks: { show: false },
        splits: () => marks(top(latest.current), scale().factor),
        values: (_, splits) => splits.map((value) => digits(value / scale().factor)),
      },
    ],
    series: [
      {},
      ...props.names.map((label, at) => ({
        label,
        stroke: look.series[at] ?? look.text,
        width: 1.5,
        dash: DASHES[at],
        fill: at === 0 ? `color-mix(in srgb, ${look.series[0]} 10%, transparent)` : undefined,
        points: { show: false },
        spanGaps: false,
      })),
    ],
    hooks: {
      draw: [(plot) => drawLimit(plot, latest.current.limit, look)],
      setCursor: [
        (plot) => {
          markTime(plot, mark, latest.current.timeframe);
          latest.current.onCursor(plot.cursor.idx ?? undefined);
        },
      ],
    },
  };
}

export default function Plot(props: PlotProps) {
  const { scheme } = useView();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const made = `${props.names.join()} ${props.sync} ${scheme}`;

  // biome-ignore lint/correctness/useExhaustiveDependencies: data are set below, the rest is `made` of.
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const width = () => Math.max(element.clientWidth, 40);
    const mark = document.createElement('span');
    mark.className = 'gp-time';
    mark.hidden = true;
    const settings = options(latest.current, latest, width(), mark);
    const drawn = new uPlot(settings, latest.current.data, element);
    element.append(mark);
    plot.current = drawn;
    const watch = new ResizeObserver(() => drawn.setSize({ width: width(), height: HEIGHT }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      drawn.destroy();
      mark.remove();
      plot.current = undefined;
    };
  }, [made]);

  useEffect(() => {
    plot.current?.setData(props.data);
  }, [props.data]);

  useEffect(() => {
    const drawn = plot.current;
    const time = props.cursor === undefined ? undefined : props.data[0][props.cursor];
    if (!drawn || time === undefined) return;
    (drawn as Leading).setCursor({ left: drawn.valToPos(time, 'x'), top: HEIGHT / 2 }, true, true);
  }, [props.cursor, props.data]);

  return <div ref={box} className="gp-plot" aria-hidden="true" />;
}
