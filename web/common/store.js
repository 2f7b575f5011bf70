/** A value that components watch: the state that several parts of a page share. */

import { useEffect, useState } from "./view.js";

/**
 * @template T
 * @typedef {object} Store
 * @property {() => T} get
 * @property {(next: T | ((before: T) => T)) => void} set tells the watchers, unless the value is the same
 * @property {(watcher: (value: T) => void) => () => void} watch returns a function that ends the watching
 */

/**
 * @template T
 * @param {T} initial
 * @returns {Store<T>}
 */
export function createStore(initial) {
  let value = initial;
  /** @type {Set<(value: T) => void>} */
  const watchers = new Set();
  return {
    get: () => value,
    set(next) {
      const after = typeof next === "function" ? /** @type {(before: T) => T} */ (next)(value) : next;
      if (Object.is(after, value)) return;
      value = after;
      for (const watcher of [...watchers]) watcher(value);
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
  };
}

/**
 * Returns the value of a store and renders the component again whenever it changes.
 *
 * @template T
 * @param {Store<T>} store
 * @returns {T}
 */
export function useStore(store) {
  const [value, setValue] = useState(() => store.get());
  useEffect(() => {
    // it may have changed between the first rendering and this effect
    setValue(() => store.get());
    return store.watch((next) => setValue(() => next));
  }, [store]);
  return value;
}
