/** Requests to the API: envelope, errors, the token against forged requests. */

import { t } from '../texts';

export type Params = Record<string, string | number | boolean | string[] | number[] | undefined>;
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** An answer that is not a success. `fields` has the server's text for each refused parameter. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly fields: Record<string, string> = {},
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

let csrf = '';
let onUnauthorized: () => void = () => {};

export function setCsrf(token: string) {
  csrf = token;
}

/** For requests that this module does not send. */
export const csrfToken = () => csrf;

/** Called when a request is refused because the session has ended. */
export function whenUnauthorized(handler: () => void) {
  onUnauthorized = handler;
}

type Body = { data: unknown; total?: number; message?: string; errors?: Record<string, string> };

/** Booleans are 0 and 1 at the wire; parameters without a value are left out. */
export function wireParams(params: Params): [string, string][] {
  const pairs: [string, string][] = [];
  for (const [key, value] of Object.entries(params)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) {
      pairs.push([key, typeof one === 'boolean' ? (one ? '1' : '0') : String(one)]);
    }
  }
  return pairs;
}

async function readBody(answer: Response): Promise<Body> {
  const text = await answer.text();
  try {
    return JSON.parse(text) as Body;
  } catch {
    return { data: null, message: text };
  }
}

function failure(status: number, statusText: string, body: Body): ApiError {
  const fields: Record<string, string> = {};
  for (const [field, text] of Object.entries(body.errors ?? {})) fields[field] = text.trim();
  const message = (body.message ?? '').trim() || statusText || `status ${status}`;
  return new ApiError(status, message, fields);
}

async function send(method: Method, path: string, params: Params, signal?: AbortSignal) {
  const pairs = new URLSearchParams(wireParams(params));
  const hasBody = method === 'POST' || method === 'PUT';
  const query = !hasBody && pairs.size > 0 ? `?${pairs}` : '';
  const headers: Record<string, string> = {};
  if (method !== 'GET' && csrf) headers.CSRFPreventionToken = csrf;
  const { answer, body } = await ask(`/api2/json${path}${query}`, {
    method,
    headers,
    body: hasBody ? pairs : undefined,
    signal,
    credentials: 'same-origin',
  });
  if (!answer.ok) throw failure(answer.status, answer.statusText, body);
  return body;
}

async function ask(url: string, request: RequestInit) {
  try {
    const answer = await fetch(url, request);
    return { answer, body: await readBody(answer) };
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw new ApiError(0, t.states.noAnswer);
  }
}

/** Before each further attempt; browsers break requests off when the machine's network changes. */
const PAUSES_MS = [200, 600, 1800];

/** Sends again what only reads, while there is no answer at all. */
export async function persist<T>(read: () => Promise<T>): Promise<T> {
  for (const pause of PAUSES_MS) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 0) throw error;
      await new Promise((done) => setTimeout(done, pause));
    }
  }
  return read();
}

async function call(method: Method, path: string, params: Params = {}, signal?: AbortSignal) {
  const attempt = () => send(method, path, params, signal);
  try {
    return await (method === 'GET' ? persist(attempt) : attempt());
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) onUnauthorized();
    throw error;
  }
}

export const api = {
  get: async <T>(path: string, params?: Params, signal?: AbortSignal) =>
    (await call('GET', path, params, signal)).data as T,
  /** A list with its total, for logs. */
  page: async <T>(path: string, params?: Params) => {
    const body = await call('GET', path, params);
    return { data: body.data as T, total: body.total ?? 0 };
  },
  post: async <T>(path: string, params?: Params) => (await call('POST', path, params)).data as T,
  put: async <T>(path: string, params?: Params) => (await call('PUT', path, params)).data as T,
  delete: async <T>(path: string, params?: Params) =>
    (await call('DELETE', path, params)).data as T,
  /** The request for a ticket: a refusal is no ended session. */
  login: async <T>(params: Params) => (await send('POST', '/access/ticket', params)).data as T,
  domains: async <T>() => (await persist(() => send('GET', '/access/domains', {}))).data as T,
};

/** A file that the node serves beside the API. */
export const file = <T>(url: string): Promise<T> =>
  persist(async () => {
    const { answer, body } = await ask(url, {});
    if (!answer.ok) throw failure(answer.status, answer.statusText, body);
    return body as T;
  });

/** The path of an API address, with each part encoded. */
export function path(...parts: (string | number)[]): string {
  return parts.map((part) => `/${encodeURIComponent(String(part))}`).join('');
}
