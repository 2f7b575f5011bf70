/**
 * Preact, its hooks and htm, the only libraries of the pages. Every module imports them from here; `view.d.ts` has their
 * types. Values in `html` are set as text or properties, never parsed as HTML.
 */
export { createContext, Fragment, render } from "../vendor/preact.js";
export {
  useCallback, useContext, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState,
} from "../vendor/hooks.js";
export { html } from "../vendor/htm-preact.js";
