import { expect, it } from 'vitest';
import { sparkPaths } from './Spark';

it('a gap parts the line, and the last value is at the right', () => {
  const { line, area } = sparkPaths([0, 1000, null, 500]);
  expect(line.match(/M/g)?.length).toBe(2);
  expect(line.startsWith('M60.7 17.5L61.8 0.5')).toBe(true);
  expect(line.endsWith('M64.0 9.0')).toBe(true);
  expect(area.match(/Z/g)?.length).toBe(2);
  expect(sparkPaths([]).line).toBe('');
  // More than its processors cannot be drawn.
  expect(sparkPaths([4000]).line).toBe('M64.0 0.5');
});
