import { describe, expect, it } from 'vitest';
import { aligned, figures, isKnown, withTail } from './history';

const rows = [{ time: 60, cpu: 0.5 }, { time: 120 }, { time: 180, cpu: 0.25, mem: 1 }];

describe('history', () => {
  it('makes a gap of what is unknown', () => {
    const data = aligned(rows, [{ column: 'cpu', scale: 100 }, { column: 'mem' }]);
    expect(data).toEqual([
      [60, 120, 180],
      [50, null, 25],
      [null, null, 1],
    ]);
  });
  it('knows an object of which nothing is known', () => {
    expect(isKnown(rows, ['netin'])).toBe(false);
    expect(isKnown(rows, ['netin', 'mem'])).toBe(true);
  });
  it('sums up the values that are known', () => {
    expect(figures([1, null, 3, 2])).toEqual({ last: 2, least: 1, mean: 2, most: 3 });
    expect(figures([null])).toBeUndefined();
  });
  it('goes on with what is measured now', () => {
    const tail = [
      { time: 175, cpu: 0.9 },
      { time: 185, cpu: 0.3 },
    ];
    expect(withTail(rows, tail).map((row) => row.time)).toEqual([60, 120, 180, 185]);
    expect(withTail([], tail)).toHaveLength(2);
  });
});
