import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Hours } from './lastHour';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function scene(answer = true) {
  const asked: number[][] = [];
  const hours = new Hours(async (vmids) => {
    asked.push(vmids);
    if (!answer) throw new Error('no');
    return vmids.map((vmid) => ({ vmid, end: 0, cpu: [vmid, null] }));
  });
  return { asked, hours };
}

it('what is shown together is one request, and again each minute', async () => {
  const { asked, hours } = scene();
  let heard = 0;
  hours.known.subscribe(() => {
    heard += 1;
  });
  const hide = [100, 101, 102].map((vmid) => hours.show(vmid));
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toEqual([[100, 101, 102]]);
  expect(hours.get(101)).toEqual([101, null]);
  expect(heard).toBe(1);
  // Shown again, as when the table scrolls: it is known.
  hours.show(100)();
  hide[0]?.();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked.length).toBe(1);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked.slice(1)).toEqual([[101, 102]]);
  for (const one of hide.slice(1)) one();
  await vi.advanceTimersByTimeAsync(300_000);
  expect(asked.length).toBe(2);
});

it('many are asked for in parts, and a refusal is not repeated at once', async () => {
  const { asked, hours } = scene(false);
  for (let vmid = 100; vmid < 250; vmid++) hours.show(vmid);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(asked.map((part) => part.length)).toEqual([100, 50]);
  expect(hours.get(100)).toBeUndefined();
});
