import { Event, Operations, ReportedOrder, ReportedRefund } from "./operations.js";

export * from "./operations.js";

/** The server could not be reached, or its answer was lost. Whether the request took effect is not known. */
export class NoAnswer extends Error {}

/** An answer that is an error, as a problem document (RFC 9457). */
export class Problem extends Error {
  /** The HTTP status. */
  status: number;
  /** The kind of problem, such as `urn:aisle:problem:out-of-stock`; `about:blank` if the answer is no document. */
  type: string;
  title: string;
  detail: string;
  /** The fields that are wrong. */
  errors: { field: string; message: string }[];
  /** The id under which the server logged the request. */
  requestId: string;
  /** Seconds after which the request may be repeated; null if the answer says nothing. */
  retryAfterS: number | null;
  /** The whole document. */
  document: Record<string, unknown>;
}

export interface AisleOptions {
  /** `sk_…` on the shop's server, `pk_…` in a browser. */
  apiKey?: string;
  /** The access token of a guest, an account or a member of staff. */
  token?: string;
  /** Milliseconds that an attempt may take. */
  timeoutMs?: number;
  /** How often a request is sent that may be repeated. */
  attempts?: number;
  fetch?: typeof fetch;
}

/** The API. Every operation rejects with Problem for an error, and with NoAnswer if there is no answer in the end. */
export class Aisle extends Operations {
  constructor(url: string, options?: AisleOptions);
  token?: string;
  apiKey?: string;
}

export type AnyEvent = Event | ReportedOrder | ReportedRefund;

/** Sends events in batches. */
export class EventQueue {
  constructor(
    shop: Aisle,
    options?: {
      /** The longest time that an event waits. */
      intervalMs?: number;
      /** Events of a batch, at most 500. */
      size?: number;
      /** Events that wait at most; what comes beyond is lost. */
      capacity?: number;
      /** Gets the events that the shop did not accept. */
      lost?: (events: AnyEvent[], error: Error) => void;
    },
  );
  add(event: AnyEvent): void;
  flush(): Promise<void>;
}
