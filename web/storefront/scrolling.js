/**
 * Where a view is scrolled to: a new one to its top, one that the shopper goes back to where it was. The browser cannot do
 * the latter, since the lists of the view are read again.
 */

import { route } from "../common/router.js";

/** Milliseconds to wait until a view is as tall again as it was. */
const PATIENCE = 3000;

/** Vertical positions by the key of the entry in the browser's history. @type {Map<number, number>} */
const positions = new Map();
let lastKey = 0;
let current = 0;
let path = "";

/** Marks the entry of the history that is shown. Returns whether the shopper came back to it. */
function enter() {
  const known = history.state?.key;
  if (typeof known === "number" && positions.has(known)) {
    current = known;
    return true;
  }
  lastKey += 1;
  current = lastKey;
  positions.set(current, 0);
  history.replaceState({ key: current }, "");
  return false;
}

/** @param {number} key @param {number} top */
function restore(key, top) {
  const until = performance.now() + PATIENCE;
  const attempt = () => {
    // the shopper has gone on, or scrolls already
    if (current !== key || performance.now() > until) return;
    if (document.documentElement.scrollHeight >= top + innerHeight) scrollTo(0, top);
    else requestAnimationFrame(attempt);
  };
  requestAnimationFrame(attempt);
}

export function startScrolling() {
  history.scrollRestoration = "manual";
  path = route.get().path;
  enter();
  addEventListener("scroll", () => positions.set(current, scrollY), { passive: true });
  route.watch((next) => {
    const isBack = enter();
    const isOther = next.path !== path;
    path = next.path;
    // filters of a search leave its position as it is
    if (isBack) restore(current, positions.get(current) ?? 0);
    else if (isOther) scrollTo(0, 0);
  });
}
