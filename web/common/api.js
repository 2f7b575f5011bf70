/**
 * The client of the public API: requests with ids and times, answers as JSON, errors as problems (RFC 9457).
 *
 * Each request carries a new `X-Request-ID`, which the answer and the server's logs have too (`./aisle trace ID`).
 */

/** @typedef {string | number | boolean | null | undefined} Value */

/**
 * @typedef {object} Answer
 * @property {number} status
 * @property {any} body the JSON body; null without one
 * @property {Headers} headers
 * @property {string} requestId
 * @property {number} ms milliseconds from sending the request until its whole answer was here
 */

/**
 * @typedef {object} Options
 * @property {Record<string, Value | Value[]>} [query] null, undefined and "" are left out
 * @property {unknown} [body] sent as JSON
 * @property {string} [idempotencyKey]
 * @property {AbortSignal} [signal]
 * @property {boolean} [anonymous] sends no token
 * @property {boolean} [keepalive] lets the request outlive the page
 * @property {Record<string, string>} [headers]
 */

/**
 * @typedef {object} Credentials
 * @property {() => Promise<string | null>} token the access token to send, or null
 * @property {(refused: string) => Promise<boolean>} renew returns whether another token can be had than the refused one
 */

/** An answer that says what is wrong, or a request without an answer (`status` 0, slug `offline`). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {Record<string, any>} body members of the problem
   * @param {string} requestId
   * @param {number} retryAfterS seconds to wait before trying again; 0 if the answer names none
   */
  constructor(status, body, requestId, retryAfterS = 0) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.name = "Problem";
    this.status = status;
    this.body = body;
    /** The last part of the problem's type, as in docs/problems.md. */
    this.slug = String(body.type ?? "").replace(/^urn:aisle:problem:/, "") || `http-${status}`;
    this.title = String(body.title ?? "");
    this.requestId = requestId;
    this.retryAfterS = retryAfterS;
    /** @type {{field: string, message: string}[]} */
    this.errors = Array.isArray(body.errors) ? body.errors : [];
  }

  /** Whether the same request may succeed in a moment. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/**
 * Returns a random id of 128 bits. `crypto.randomUUID` exists only on https and localhost.
 *
 * @returns {string}
 */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Returns a query string with its question mark, or an empty text.
 *
 * @param {Record<string, Value | Value[]>} values
 */
export function queryString(values) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const single of Array.isArray(value) ? value : [value]) {
      if (single !== null && single !== undefined && single !== "") parameters.append(name, String(single));
    }
  }
  const text = parameters.toString();
  return text && `?${text}`;
}

/** @param {number} ms @param {AbortSignal} [signal] */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, undefined);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("aborted", "AbortError"));
    });
  });
}

/** @param {unknown} error whether it comes from an AbortSignal */
export function isAborted(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/**
 * @param {object} settings
 * @param {string} [settings.base] address before every path; empty for the page's own host
 * @param {Credentials} [settings.credentials]
 * @param {string} [settings.idPrefix] how the ids of this page's requests begin
 * @param {(method: string, path: string, outcome: Answer | Problem) => void} [settings.observe] sees every outcome
 */
export function createApi({ base = "", credentials, idPrefix = "web", observe } = {}) {
  /**
   * @param {string} method
   * @param {string} path
   * @param {Options} options
   * @param {string | null} token
   * @returns {Promise<Answer>}
   */
  async function send(method, path, options, token) {
    const requestId = `${idPrefix}-${randomId().slice(0, 16)}`;
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json", "X-Request-ID": requestId, ...options.headers };
    if (options.body !== undefined) headers["Content-Type"] = "application/json";
    if (options.idempotencyKey) headers["Idempotency-Key"] = options.idempotencyKey;
    if (token) headers["Authorization"] = `Bearer ${token}`;
    const began = performance.now();
    let response;
    let text;
    try {
      response = await fetch(base.replace(/\/$/, "") + path + queryString(options.query ?? {}), {
        method,
        headers,
        body: options.body === undefined ? undefined : JSON.stringify(options.body),
        signal: options.signal,
        keepalive: options.keepalive,
        credentials: "omit",
      });
      text = response.status === 304 ? "" : await response.text();
    } catch (error) {
      if (isAborted(error)) throw error;
      throw new Problem(0, { type: "offline", title: "No connection" }, requestId);
    }
    const ms = performance.now() - began;
    let body = null;
    try {
      body = text ? JSON.parse(text) : null;
    } catch {
      body = null;
    }
    const id = response.headers.get("X-Request-ID") ?? requestId;
    if (response.ok || response.status === 304) {
      return { status: response.status, body, headers: response.headers, requestId: id, ms };
    }
    const wait = Number(response.headers.get("Retry-After")) || 0;
    throw new Problem(response.status, typeof body === "object" && body ? body : {}, id, wait);
  }

  /**
   * Sends a request and returns its answer. Throws Problem, and AbortError if `signal` ends it.
   *
   * A refused access token is renewed once. A GET that fails for want of a service is repeated once, after at most 2 s.
   *
   * @param {string} method
   * @param {string} path
   * @param {Options} [options]
   * @returns {Promise<Answer>}
   */
  async function request(method, path, options = {}) {
    let token = options.anonymous || !credentials ? null : await credentials.token();
    let repeated = false;
    for (;;) {
      try {
        const answer = await send(method, path, options, token);
        observe?.(method, path, answer);
        return answer;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        observe?.(method, path, error);
        const refused = error.status === 401 && /^(token-expired|invalid-token)$/.test(error.slug);
        if (!repeated && refused && token && credentials && (await credentials.renew(token))) {
          token = await credentials.token();
        } else if (!repeated && method === "GET" && error.status === 503) {
          await pause(Math.min(2000, (error.retryAfterS || 0.3) * 1000), options.signal);
        } else {
          throw error;
        }
        repeated = true;
      }
    }
  }

  return {
    request,
    /** @param {string} path @param {Record<string, Value | Value[]>} [query] @param {Options} [options] */
    get: (path, query, options) => request("GET", path, { ...options, query }),
    /** @param {string} path @param {unknown} [body] @param {Options} [options] */
    post: (path, body, options) => request("POST", path, { ...options, body }),
    /** @param {string} path @param {unknown} [body] @param {Options} [options] */
    put: (path, body, options) => request("PUT", path, { ...options, body }),
    /** @param {string} path @param {unknown} [body] @param {Options} [options] */
    patch: (path, body, options) => request("PATCH", path, { ...options, body }),
    /** @param {string} path @param {Options} [options] */
    delete: (path, options) => request("DELETE", path, options),
  };
}

/** @typedef {ReturnType<typeof createApi>} Api */

/**
 * Returns what the page needs to know of the shop, from `/web/config.json`.
 *
 * @returns {Promise<{name: string, currency: string | null, time_zone: string, language: string | null,
 *   trust_shop_ids: boolean, api: string, shop_as: {user_id: string, events: number}[]}>}
 */
export async function readConfig() {
  const response = await fetch("/web/config.json", { credentials: "omit" });
  if (!response.ok) throw new Problem(response.status, {}, response.headers.get("X-Request-ID") ?? "");
  const found = await response.json();
  return {
    name: found.name || "Aisle",
    currency: found.currency ?? null,
    time_zone: found.time_zone || "UTC",
    language: found.language ?? null,
    trust_shop_ids: Boolean(found.trust_shop_ids),
    api: found.api || "",
    shop_as: (found.shop_as ?? []).map((/** @type {{id: string, events: number}} */ { id, events }) => ({ user_id: id, events })),
  };
}
