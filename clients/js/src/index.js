/** A client of Aisle's API for browsers and Node. It has one method for each operation of the API. */

import { Operations } from "./operations.js";

/** The server could not be reached, or its answer was lost. Whether the request took effect is not known. */
export class NoAnswer extends Error {
  name = "NoAnswer";
}

/** An answer that is an error, as a problem document (RFC 9457). */
export class Problem extends Error {
  name = "Problem";

  constructor(status, document, requestId, retryAfterS) {
    super(`${status} ${document.title ?? ""}${document.detail ? `: ${document.detail}` : ""}`);
    this.status = status;
    this.type = document.type ?? "about:blank";
    this.title = document.title ?? `HTTP ${status}`;
    this.detail = document.detail ?? "";
    this.errors = document.errors ?? [];
    this.requestId = requestId;
    this.retryAfterS = retryAfterS;
    this.document = document;
  }
}

const REPEATABLE = ["GET", "HEAD", "PUT", "DELETE"];
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 20_000;
/** What POST /events/batch takes. */
const LARGEST_BATCH = 500;

/** Returns a random id of 128 bits. `crypto.randomUUID` exists only on https and localhost. */
function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function search(query) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const single of Array.isArray(value) ? value : [value]) {
      if (single !== undefined && single !== null) parameters.append(name, String(single));
    }
  }
  const text = parameters.toString();
  return text && `?${text}`;
}

function retryAfterS(answer) {
  const text = answer.headers.get("Retry-After");
  if (!text) return null;
  if (/^\d+$/.test(text)) return Number(text);
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, (at - Date.now()) / 1000);
}

function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const ended = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", ended);
      resolve();
    }, ms);
    signal?.addEventListener("abort", ended, { once: true });
  });
}

async function content(answer) {
  const text = await answer.text();
  let json = null;
  try {
    json = text ? JSON.parse(text) : null;
  } catch (error) {
    if (answer.ok) throw new NoAnswer(`The answer is not JSON: ${error.message}`);
  }
  if (answer.ok) return json;
  const document = json && typeof json === "object" ? json : {};
  throw new Problem(answer.status, document, answer.headers.get("X-Request-ID") ?? "", retryAfterS(answer));
}

export class Aisle extends Operations {
  constructor(url, { apiKey, token, timeoutMs = 10_000, attempts = 4, fetch = globalThis.fetch } = {}) {
    super();
    this.url = url.replace(/\/+$/, "");
    this.apiKey = apiKey;
    this.token = token;
    this.timeoutMs = timeoutMs;
    this.attempts = attempts;
    this.fetch = (...parameters) => fetch(...parameters);
  }

  async send(method, path, { query, body, content: file, mediaType, takesKey, idempotencyKey, signal } = {}) {
    // a parameter that is empty, "." or ".." would make it another operation, such as the one that empties the cart
    if (path.slice(1).split("/").some((part) => /^\.{0,2}$/.test(part))) {
      throw new RangeError(`a parameter of the path is empty, "." or "..": ${path}`);
    }
    const key = takesKey ? (idempotencyKey ?? randomId()) : undefined;
    const headers = { Accept: "application/json" };
    if (this.apiKey) headers["X-API-Key"] = this.apiKey;
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (key) headers["Idempotency-Key"] = key;
    const request = { method, headers };
    if (file !== undefined) {
      headers["Content-Type"] = mediaType;
      request.body = file;
    } else if (body !== undefined && body !== null) {
      headers["Content-Type"] = "application/json";
      request.body = JSON.stringify(body);
    }
    const repeatable = REPEATABLE.includes(method) || key !== undefined;
    for (let attempt = 1; ; attempt += 1) {
      const limit = AbortSignal.timeout(this.timeoutMs);
      let answer, failure;
      try {
        const ends = signal ? AbortSignal.any([signal, limit]) : limit;
        answer = await this.fetch(`${this.url}${path}${search(query)}`, { ...request, signal: ends });
        if (answer.ok) return await content(answer);
      } catch (error) {
        if (signal?.aborted) throw error;
        failure = error;
        answer = undefined;
      }
      const wanted = answer ? retryAfterS(answer) : null;
      const may = answer ? answer.status === 429 || ([502, 503, 504].includes(answer.status) && repeatable) : repeatable;
      if (attempt >= this.attempts || !may || wanted * 1000 > LONGEST_PAUSE_MS) {
        if (answer) return content(answer);
        throw failure instanceof NoAnswer ? failure : new NoAnswer(`${method} ${path}: ${failure.message}`, { cause: failure });
      }
      const own = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
      await sleep(Math.max(own, (wanted ?? 0) * 1000), signal);
    }
  }
}

/** Sends events in batches. `lost(events, error)` gets those that the shop did not accept. */
export class EventQueue {
  constructor(shop, { intervalMs = 1000, size = 100, capacity = 10_000, lost = () => {} } = {}) {
    if (!(size >= 1 && size <= LARGEST_BATCH)) throw new RangeError(`size must be from 1 to ${LARGEST_BATCH}`);
    Object.assign(this, { shop, intervalMs, size, capacity, lost, waiting: [], timer: null, sending: null });
  }

  /** Queue an event. An event that finds the queue full goes to `lost`. */
  add(event) {
    if (this.waiting.length >= this.capacity) {
      this.tell([event], new NoAnswer("the queue is full"));
      return;
    }
    // an order is known by its order_id; a refund is not, since an order may have several
    const isKnown = event.event_id || event.event_type === "order";
    this.waiting.push(isKnown ? event : { ...event, event_id: randomId() });
    if (this.waiting.length >= this.size) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), this.intervalMs);
  }

  /** Send what waits; the promise is fulfilled when nothing waits any more. */
  flush() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.waiting.length) this.sending ??= this.sendAll();
    return this.sending ?? Promise.resolve();
  }

  async sendAll() {
    // events wait in the queue until their turn, so that `capacity` counts them
    while (this.waiting.length) await this.sendBatch(this.waiting.splice(0, this.size));
    this.sending = null;
  }

  async sendBatch(batch) {
    let answer;
    try {
      answer = await this.shop.recordEventBatch({ events: batch });
    } catch (error) {
      this.tell(batch, error);
      return;
    }
    for (const { index, problem } of answer?.rejected ?? []) {
      this.tell([batch[index]], new Problem(problem.status ?? 422, problem, "", null));
    }
  }

  /** Calls `lost`. An error in it is reported: thrown, it would end the queue, and every later event would be lost. */
  tell(events, error) {
    try {
      this.lost(events, error);
    } catch (failure) {
      console.error("The function `lost` of an event queue failed:", failure);
    }
  }
}
