/** Addresses within a page: what follows the `#`, a path with a query (`#/search?q=lantern`). */

import { queryString } from "./api.js";
import { createStore } from "./store.js";

/** @typedef {{path: string, parts: string[], query: URLSearchParams}} Route */

/** @param {string} text a part of a path, which may hold a broken escape */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @returns {Route} */
function read() {
  const [path = "", query = ""] = location.hash.replace(/^#/, "").split(/\?(.*)/s);
  return { path: path || "/", parts: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

/** The current address. */
export const route = createStore(read());
addEventListener("hashchange", () => route.set(read()));

/**
 * @param {string} path
 * @param {Record<string, import("./api.js").Value | import("./api.js").Value[]>} [query]
 */
export function link(path, query = {}) {
  return `#${path}${queryString(query)}`;
}

/** @param {string} address from link() @param {{replace?: boolean}} [options] */
export function go(address, { replace = false } = {}) {
  if (location.hash === address) return;
  if (replace) {
    history.replaceState(null, "", address);
    route.set(read());
  } else {
    location.hash = address;
  }
}
