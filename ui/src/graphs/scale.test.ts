import { describe, expect, it } from 'vitest';
import { digits, marks, scaleOf, words } from './scale';

describe('scale', () => {
  it('has one unit for an axis', () => {
    const scale = scaleOf('bytes', 32 * 2 ** 30);
    expect(words(24.2 * 2 ** 30, scale)).toBe('24.2 GiB');
    expect(words(0, scale)).toBe('0 GiB');
    expect(words(42e6, scaleOf('bits', 80e6))).toBe('42 Mb/s');
    expect(words(900, scaleOf('byteRate', 900))).toBe('900 B/s');
    expect(words(1.25, scaleOf('number', 2))).toBe('1.25');
  });
  it('marks round values', () => {
    expect(marks(100, 1)).toEqual([0, 25, 50, 75, 100]);
    expect(marks(7.3, 1)).toEqual([0, 2, 4, 6]);
    expect(marks(0, 1)).toEqual([0]);
    expect(marks(32 * 2 ** 30, 2 ** 30).map((mark) => mark / 2 ** 30)).toEqual([0, 10, 20, 30]);
  });
  it('shows three digits', () => {
    expect([0, 0.123, 12.34, 123.4].map(digits)).toEqual(['0', '0.12', '12.3', '123']);
  });
});
