import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type ApiError, api } from './client';

type Reply = 'lost' | 'cut' | { status: number; data?: unknown };

let sent: string[] = [];

/** A node that replies so, one request after the other, and at last as it did before. */
function node(...replies: Reply[]) {
  vi.stubGlobal('fetch', async (url: string, { method = 'GET' }: RequestInit) => {
    sent.push(`${method} ${url}`);
    const reply = replies.length > 1 ? replies.shift() : replies[0];
    if (reply === 'lost' || reply === undefined) throw new TypeError('Failed to fetch');
    if (reply === 'cut') return { ok: true, text: () => Promise.reject(new TypeError('cut')) };
    return new Response(JSON.stringify({ data: reply.data ?? null }), { status: reply.status });
  });
}

/** The outcome when all pauses are over. */
async function outcome<T>(request: Promise<T>): Promise<T | number> {
  const settled = request.catch((error: ApiError) => error.status);
  await vi.runAllTimersAsync();
  return settled;
}

beforeEach(() => {
  sent = [];
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it('a read without an answer is sent again, a few times', async () => {
  node('lost', 'cut', { status: 200, data: 7 });
  expect(await outcome(api.get('/version'))).toBe(7);
  expect(sent).toEqual(Array(3).fill('GET /api2/json/version'));
  sent = [];
  node('lost');
  expect(await outcome(api.get('/version'))).toBe(0);
  expect(sent.length).toBe(4);
});

it('an answer stays so, whatever it is', async () => {
  node({ status: 500 });
  expect(await outcome(api.get('/version'))).toBe(500);
  expect(sent.length).toBe(1);
});

it('a change is never sent twice: it may have been made', async () => {
  for (const change of [api.post, api.put, api.delete]) {
    sent = [];
    node('lost', { status: 200 });
    expect(await outcome(change('/pools'))).toBe(0);
    expect(sent.length).toBe(1);
  }
});

it('a request that its page has given up is not sent again', async () => {
  const page = new AbortController();
  node('lost');
  page.abort();
  await outcome(api.get('/version', {}, page.signal));
  expect(sent.length).toBe(1);
});
