/**
 * What an action changes, as the panel shows it: when the API accepted it, when it had taken effect, the taste, and the new
 * recommendations.
 *
 * The API stores a user's answer until an event of the user takes effect. So an answer with another `generated_at` than the
 * one before the action proves that the action counts: the page asks until it sees one.
 */

import { isAborted, pause, Problem } from "../common/api.js";
import { createStore } from "../common/store.js";
import { api } from "./shop.js";
import * as shopper from "./shopper.js";

/** @typedef {import("./shop.js").Product} Product */

/** Products of the shopper's answer: what the home page shows. */
export const K = 12;
/** Milliseconds between the questions whether an action has taken effect; the last one repeats. */
const INTERVALS = [20, 30, 50, 80, 120, 200, 300, 500];
/** Milliseconds after which an action counts as without effect. */
const PATIENCE = 20_000;
const KEPT_ACTIONS = 6;

/**
 * @typedef {object} Answer
 * @property {Product[]} recommendations
 * @property {string} strategy
 * @property {string} recommendation_id
 * @property {number | null} model_version
 * @property {string | null} algorithm
 * @property {string} generated_at
 */

/** @typedef {{key: string, kind: "category" | "brand" | "tag", name: string, share: number}} Liking */

/**
 * @typedef {object} Change
 * @property {Product} product
 * @property {number | null} before rank before the action; null if it is new
 * @property {number} after rank
 */

/**
 * @typedef {object} Action
 * @property {number} id
 * @property {"view" | "add" | "remove" | "wish" | "order" | "search"} kind
 * @property {string} subject name of the product, the text searched for
 * @property {number | null} acceptedMs
 * @property {number | null} appliedMs
 * @property {number | null} answerMs how long the request of the new recommendations took
 * @property {string} requestId
 * @property {"sending" | "applying" | "done" | "unchanged" | "failed"} state
 * @property {Change[]} changes
 * @property {Product[]} gone
 * @property {Liking[]} tasteBefore
 */

/** Latest first. @type {import("../common/store.js").Store<Action[]>} */
export const actions = createStore(/** @type {Action[]} */ ([]));
/** The shopper's newest answer; null until it is read, and while nobody shops. @type {import("../common/store.js").Store<Answer | null>} */
export const answer = createStore(/** @type {Answer | null} */ (null));
/** The shopper's taste, strongest first; null where it cannot be read. @type {import("../common/store.js").Store<Liking[] | null>} */
export const taste = createStore(/** @type {Liking[] | null} */ (null));
/** Why the newest answer could not be read. @type {import("../common/store.js").Store<unknown>} */
export const failure = createStore(/** @type {unknown} */ (null));

let lastId = 0;

/** Forgets everything when somebody else shops. */
export function startLive() {
  shopper.shopper.watch(() => {
    actions.set([]);
    answer.set(null);
    taste.set(null);
    failure.set(null);
    void refresh();
  });
  void refresh();
}

/** @type {{id: string, done: Promise<void>} | null} */
let reading = null;

/** Reads the shopper's answer and taste, once for all who want them; what fails stays as it was. */
export function refresh() {
  const { id } = shopper.shopper.get();
  if (id === null) return Promise.resolve();
  if (reading?.id !== id) {
    const own = { id, done: readAll(id) };
    reading = own;
    void own.done.then(() => {
      if (reading === own) reading = null;
    });
  }
  return reading.done;
}

/** @param {string} id */
async function readAll(id) {
  try {
    const [found, likings] = await Promise.all([readAnswer(), readTaste()]);
    if (shopper.shopper.get().id !== id) return;
    answer.set(found.body);
    taste.set(likings);
    failure.set(null);
  } catch (error) {
    if (shopper.shopper.get().id === id) failure.set(error);
  }
}

function readAnswer() {
  return api.get("/recommendations", { ...shopper.own(), k: K, explain: true });
}

/** @returns {Promise<Liking[] | null>} */
async function readTaste() {
  if (!shopper.hasProfile()) return null;
  const found = (await api.get("/users/me/preferences")).body;
  /** @type {[Liking["kind"], {key: string, name: string | null, share: number}[]][]} */
  const kinds = [["category", found.categories], ["brand", found.brands], ["tag", found.tags]];
  return kinds.flatMap(([kind, likings]) =>
    likings.map(({ key, name, share }) => ({ key: `${kind} ${key}`, kind, name: name ?? key, share })),
  );
}

/** @param {number} id @param {Partial<Action>} change */
function update(id, change) {
  actions.set((before) => before.map((action) => (action.id === id ? { ...action, ...change } : action)));
}

/**
 * Runs an action of the shopper and shows in the panel what it changes. Returns the answer of `send`; throws its Problem.
 *
 * @template T
 * @param {Action["kind"]} kind
 * @param {string} subject
 * @param {() => Promise<T & {ms: number, requestId: string}>} send
 * @param {{counts?: boolean}} [options] `counts`: whether the action changes recommendations
 */
export async function act(kind, subject, send, { counts = true } = {}) {
  const shopperId = await shopper.requireShopper();
  if (counts && answer.get() === null) await refresh();
  const before = answer.get();
  const tasteBefore = taste.get() ?? [];
  lastId += 1;
  const id = lastId;
  /** @type {Action} */
  const action = {
    id, kind, subject, acceptedMs: null, appliedMs: null, answerMs: null, requestId: "", state: "sending",
    changes: [], gone: [], tasteBefore,
  };
  actions.set((list) => [action, ...list].slice(0, KEPT_ACTIONS));
  const began = performance.now();
  let result;
  try {
    result = await send();
  } catch (error) {
    if (isAborted(error)) actions.set((list) => list.filter((other) => other.id !== id));
    update(id, { state: "failed", requestId: error instanceof Problem ? error.requestId : "" });
    throw error;
  }
  // without an answer from before the action, no later one proves its effect
  const isProvable = counts && before !== null;
  update(id, { acceptedMs: result.ms, requestId: result.requestId, state: isProvable ? "applying" : "done" });
  if (isProvable) void follow(id, shopperId, began, before);
  else if (counts) void refresh();
  return result;
}

/**
 * Asks for the shopper's answer until it is a new one.
 *
 * @param {number} id
 * @param {string} shopperId
 * @param {number} began
 * @param {Answer} before
 */
async function follow(id, shopperId, began, before) {
  for (let round = 0; performance.now() - began < PATIENCE; round += 1) {
    await pause(/** @type {number} */ (INTERVALS[Math.min(round, INTERVALS.length - 1)]));
    if (shopper.shopper.get().id !== shopperId) return;
    let found;
    try {
      found = await readAnswer();
    } catch (error) {
      if (error instanceof Problem && error.isPassing) continue;
      break;
    }
    if (found.body.generated_at === before.generated_at) continue;
    const appliedMs = performance.now() - began;
    const likings = await readTaste().catch(() => taste.get());
    if (shopper.shopper.get().id !== shopperId) return;
    answer.set(found.body);
    taste.set(likings);
    update(id, {
      state: "done",
      appliedMs,
      answerMs: found.ms,
      changes: changesOf(before.recommendations, found.body.recommendations),
      gone: goneOf(before.recommendations, found.body.recommendations),
    });
    return;
  }
  update(id, { state: "unchanged" });
}

/** @param {Product[]} before @param {Product[]} after @returns {Change[]} */
export function changesOf(before, after) {
  const ranks = new Map(before.map((product, index) => [product.id, index + 1]));
  return after.map((product, index) => ({ product, before: ranks.get(product.id) ?? null, after: index + 1 }));
}

/** @param {Product[]} before @param {Product[]} after */
function goneOf(before, after) {
  const ids = new Set(after.map((product) => product.id));
  return before.filter((product) => !ids.has(product.id));
}
