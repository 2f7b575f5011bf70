/** The title of a view. After a move to another view it takes the focus, so that screen readers read where one is. */

import { html, useEffect, useRef } from "../common/view.js";

let isAwaited = false;
/** Where the focus waits until the view's title is there. @type {HTMLElement | null} */
let waiting = null;

/** The shopper moved to another view. @param {HTMLElement | null} main the element around the view */
export function awaitTitle(main) {
  const title = /** @type {HTMLElement | null} */ (main?.querySelector("h1[tabindex]") ?? null);
  isAwaited = title === null;
  waiting = title ?? main;
  waiting?.focus({ preventScroll: true });
}

/** @param {{children: unknown, id?: string, isLarge?: boolean}} props */
export function Title({ children, id, isLarge = false }) {
  const element = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    // not if the shopper has gone on to something else meanwhile
    const isFree = document.activeElement === waiting || document.activeElement === document.body;
    if (isAwaited && isFree) element.current?.focus({ preventScroll: true });
    isAwaited = false;
  }, []);
  return html`<h1 ref=${element} id=${id} class=${isLarge ? "" : "page-title"} tabindex="-1">${children}</h1>`;
}
