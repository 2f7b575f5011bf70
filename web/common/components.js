/** Components that both pages use. Their texts are in `texts/`, their looks in `theme.css`. */

import { Problem } from "./api.js";
import { chooseLanguage, hasText, language, LANGUAGES, t } from "./i18n.js";
import { createStore, useStore } from "./store.js";
import { html, useEffect, useRef, useState } from "./view.js";

/** @typedef {import("./view.js").Child} Child */

/** Outlines in a square of 24, drawn by the stroke. @type {Record<string, string>} */
const ICONS = {
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13Zm4.7-1.8L20 20",
  cart: "M3 4h2l2.2 11h10.3L20 7.5H6M9 19.5h.01M16.5 19.5h.01",
  heart: "M12 20s-7.5-4.6-7.5-10A4.3 4.3 0 0 1 12 7.3 4.3 4.3 0 0 1 19.5 10c0 5.4-7.5 10-7.5 10Z",
  person: "M12 11.5a3.75 3.75 0 1 0 0-7.5 3.75 3.75 0 0 0 0 7.5ZM4.5 20c.8-3.6 3.8-5.5 7.5-5.5s6.7 1.9 7.5 5.5",
  people: "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20c.7-3.5 3.3-5.3 6.5-5.3s5.8 1.8 6.5 5.3M16 4.3a3.5 3.5 0 0 1 0 6.4M18.5 15.3c1.6.9 2.6 2.5 3 4.7",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
  moon: "M20 14.5A8.3 8.3 0 0 1 9.5 4 8.3 8.3 0 1 0 20 14.5Z",
  auto: "M12 20.5a8.5 8.5 0 1 0 0-17v17Z M12 3.5a8.5 8.5 0 0 0 0 17",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.5l4.5 4.5L19 7",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  left: "M14.5 5.5 8 12l6.5 6.5",
  right: "M9.5 5.5 16 12l-6.5 6.5",
  up: "M12 19V5.5M6 11l6-6 6 6",
  down: "M12 5v13.5M6 13l6 6 6-6",
  clock: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM12 7v5.2l3.3 2",
  pulse: "M2.5 12h4l2.5-7 5 14 2.5-7h5",
  box: "M4 8l8-4 8 4v8.5l-8 4-8-4V8Zm0 0 8 4 8-4M12 12v8.5",
  trash: "M4.5 7h15M9.5 7V4.5h5V7M6.5 7l1 13h9l1-13M10.2 11v5.5M13.8 11v5.5",
  warning: "M12 4 2.8 19.5h18.4L12 4Zm0 6v4.5M12 17.2h.01",
  info: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM12 11v5.5M12 7.8h.01",
  filter: "M4 6.5h16M7 12h10M10 17.5h4",
  image: "M4 5h16v14H4zM4 16l4.5-4.5 4 4 2.5-2.5 5 5M15.5 9.5h.01",
  repeat: "M4 11.5V10a4 4 0 0 1 4-4h11.5M16.5 3l3 3-3 3M20 12.5V14a4 4 0 0 1-4 4H4.5M7.5 21l-3-3 3-3",
  external: "M13.5 4.5h6v6M19.5 4.5 11 13M10 6H5v13h13v-5",
};

/** @param {{name: string, label?: string, size?: "small" | "large"}} props `label` if the icon stands alone */
export function Icon({ name, label, size }) {
  return html`<svg
    class=${`icon ${size ? `icon-${size}` : ""}`}
    viewBox="0 0 24 24"
    role=${label ? "img" : undefined}
    aria-label=${label}
    aria-hidden=${label ? undefined : "true"}
    focusable="false"
  >
    <path d=${ICONS[name] ?? ""} />
  </svg>`;
}

/**
 * A button that shows an icon alone; `label` names it.
 *
 * @param {{icon: string, label: string, onClick?: (event: Event) => void, badge?: number, pressed?: boolean,
 *   expanded?: boolean, controls?: string, disabled?: boolean, class?: string}} props
 */
export function IconButton({ icon, label, onClick, badge, pressed, expanded, controls, disabled, class: extra = "" }) {
  return html`<button
    type="button"
    class=${`icon-button ${extra}`}
    aria-label=${label}
    title=${label}
    aria-pressed=${pressed}
    aria-expanded=${expanded}
    aria-controls=${controls}
    disabled=${disabled}
    onClick=${onClick}
  >
    <${Icon} name=${icon} />
    ${badge ? html`<span class="badge" aria-hidden="true">${badge > 99 ? "99+" : badge}</span>` : null}
  </button>`;
}

/** @param {{label?: string}} props */
export function Spinner({ label = t("common.loading") }) {
  return html`<span class="spinner" role="status"><span class="visually-hidden">${label}</span></span>`;
}

/** Grey lines in place of text that is on its way. @param {{lines?: number}} props */
export function SkeletonText({ lines = 3 }) {
  return html`<div class="skeleton-text" aria-hidden="true">
    ${Array.from({ length: lines }, (_, index) => html`<span class="skeleton" key=${index}></span>`)}
  </div>`;
}

/** @param {{icon?: string, title: string, text?: string, children?: Child}} props `children` lead on */
export function Empty({ icon = "box", title, text, children }) {
  return html`<div class="empty">
    <span class="empty-mark"><${Icon} name=${icon} size="large" /></span>
    <h2>${title}</h2>
    ${text ? html`<p>${text}</p>` : null}
    ${children ? html`<div class="row">${children}</div>` : null}
  </div>`;
}

/**
 * Returns what a person can do about an error: the text of its kind in their language, otherwise the server's own words.
 *
 * @param {unknown} error
 */
export function problemText(error) {
  if (!(error instanceof Problem)) return t("problem.page");
  const own = `problem.${error.slug}`;
  if (hasText(own)) return t(own, { n: error.retryAfterS || 1 });
  return error.isPassing ? t("problem.unavailable", { n: error.retryAfterS || 1 }) : error.message;
}

/**
 * An error with a way on.
 *
 * @param {{error: unknown, onRetry?: () => void, children?: Child}} props
 */
export function ProblemNote({ error, onRetry, children }) {
  const id = error instanceof Problem ? error.requestId : "";
  return html`<div class="note note-bad" role="alert">
    <${Icon} name="warning" />
    <div class="note-body">
      <p>${problemText(error)}</p>
      ${id ? html`<p class="note-id">${t("problem.id", { id })}</p>` : null}
      ${onRetry || children
        ? html`<div class="row">
            ${onRetry
              ? html`<button type="button" class="button button-small" onClick=${onRetry}>
                  <${Icon} name="repeat" /> ${t("common.retry")}
                </button>`
              : null}
            ${children}
          </div>`
        : null}
    </div>
  </div>`;
}

/** @param {{kind?: "info" | "good" | "bad", children: Child}} props */
export function Note({ kind = "info", children }) {
  const icon = { info: "info", good: "check", bad: "warning" }[kind];
  return html`<div class=${`note note-${kind}`} role="status">
    <${Icon} name=${icon} />
    <div class="note-body">${children}</div>
  </div>`;
}

/**
 * A dialog over the page. The browser keeps the focus inside and closes it by Escape.
 *
 * @param {{title: string, isOpen: boolean, onClose: () => void, side?: boolean, children: Child}} props
 */
export function Dialog({ title, isOpen, onClose, side = false, children }) {
  const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const dialog = element.current;
    if (!dialog) return;
    if (isOpen && !dialog.open) dialog.showModal();
    if (!isOpen && dialog.open) dialog.close();
  }, [isOpen]);
  return html`<dialog
    ref=${element}
    class=${side ? "dialog dialog-side" : "dialog"}
    aria-label=${title}
    onClose=${onClose}
    onClick=${(/** @type {MouseEvent} */ event) => event.target === element.current && onClose()}
  >
    ${isOpen
      ? html`<div class="dialog-body">
          <header class="dialog-head">
            <h2>${title}</h2>
            <${IconButton} icon="close" label=${t("common.close")} onClick=${onClose} />
          </header>
          ${children}
        </div>`
      : null}
  </dialog>`;
}

/**
 * A field of a form with its label, hint and error, which screen readers hear together.
 *
 * @param {{label: string, name: string, type?: string, value?: string, hint?: string, error?: string, required?: boolean,
 *   autocomplete?: string, minlength?: number, maxlength?: number, onInput?: (value: string) => void}} props
 */
export function Field({ label, name, type = "text", hint, error, onInput, ...rest }) {
  const id = `field-${name}`;
  return html`<div class=${error ? "field field-wrong" : "field"}>
    <label for=${id}>${label}</label>
    <input
      id=${id}
      name=${name}
      type=${type}
      aria-invalid=${error ? "true" : undefined}
      aria-describedby=${error || hint ? `${id}-hint` : undefined}
      onInput=${(/** @type {InputEvent} */ event) =>
        onInput?.(/** @type {HTMLInputElement} */ (event.currentTarget).value)}
      ...${rest}
    />
    ${error || hint ? html`<p class="field-hint" id=${`${id}-hint`}>${error || hint}</p>` : null}
  </div>`;
}

/** @typedef {{id: number, text: string, kind: "good" | "bad", action?: {label: string, run: () => void}}} Toast */

/** @type {import("./store.js").Store<Toast[]>} */
const toasts = createStore(/** @type {Toast[]} */ ([]));
let lastToast = 0;

/**
 * Shows a short message at the edge of the page, which screen readers hear.
 *
 * @param {string} text
 * @param {{kind?: "good" | "bad", action?: {label: string, run: () => void}}} [options]
 */
export function toast(text, { kind = "good", action } = {}) {
  lastToast += 1;
  const id = lastToast;
  toasts.set((before) => [...before.slice(-2), { id, text, kind, action }]);
  setTimeout(() => dismiss(id), action || kind === "bad" ? 8000 : 4000);
}

/** Takes all messages away: they belong to what was just done, not to another page. */
export function clearToasts() {
  toasts.set([]);
}

/** @param {number} id */
function dismiss(id) {
  toasts.set((before) => before.filter((entry) => entry.id !== id));
}

/** The messages of toast(). A page has it once. */
export function Toasts() {
  const entries = useStore(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${entries.map(
      ({ id, text, kind, action }) => html`<div class=${`toast toast-${kind}`} key=${id}>
        <${Icon} name=${kind === "good" ? "check" : "warning"} />
        <span>${text}</span>
        ${action
          ? html`<button
              type="button"
              class="text-button"
              onClick=${() => {
                dismiss(id);
                action.run();
              }}
            >
              ${action.label}
            </button>`
          : null}
        <button type="button" class="toast-close" aria-label=${t("common.close")} onClick=${() => dismiss(id)}>
          <${Icon} name="close" size="small" />
        </button>
      </div>`,
    )}
  </div>`;
}

/** A choice of few values, one of which holds. @param {{label: string, value: string, values: [string, string][],
 *   onChange: (value: string) => void, name: string}} props */
export function Segmented({ label, value, values, onChange, name }) {
  return html`<fieldset class="segmented">
    <legend class="visually-hidden">${label}</legend>
    ${values.map(
      ([key, text]) => html`<label key=${key} class=${key === value ? "is-chosen" : ""}>
        <input
          type="radio"
          class="visually-hidden"
          name=${name}
          value=${key}
          checked=${key === value}
          onChange=${() => onChange(key)}
        />
        ${text}
      </label>`,
    )}
  </fieldset>`;
}

/** Chooses light, dark or the system's colours. */
export function ThemeSwitch() {
  const [choice, setChoice] = useState(document.documentElement.dataset.themeChoice ?? "auto");
  return html`<${Segmented}
    name="theme"
    label=${t("common.theme")}
    value=${choice}
    values=${[["auto", t("common.theme.auto")], ["light", t("common.theme.light")], ["dark", t("common.theme.dark")]]}
    onChange=${(/** @type {string} */ next) => {
      setChoice(next);
      dispatchEvent(new CustomEvent("aisle-theme", { detail: next }));
    }}
  />`;
}

/** Chooses the language of the page. */
export function LanguageSwitch() {
  return html`<${Segmented}
    name="language"
    label=${t("common.language")}
    value=${useStore(language)}
    values=${Object.entries(LANGUAGES)}
    onChange=${chooseLanguage}
  />`;
}

/**
 * Runs `load` whenever an input changes and returns its state. What was loaded stays until the next answer is here, so that
 * a page does not flicker; `isStale` says so. An answer that comes too late is dropped.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {readonly unknown[]} inputs
 * @returns {{value: T | null, error: unknown, isStale: boolean, again: () => void}}
 */
export function useLoaded(load, inputs) {
  const [state, setState] = useState(
    /** @type {{value: T | null, error: unknown, isStale: boolean}} */ ({ value: null, error: null, isStale: true }),
  );
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    setState((before) => ({ ...before, error: null, isStale: true }));
    load(controller.signal).then(
      (value) => controller.signal.aborted || setState({ value, error: null, isStale: false }),
      (error) => controller.signal.aborted || setState((before) => ({ ...before, error, isStale: false })),
    );
    return () => controller.abort();
  }, [...inputs, attempt]);
  const again = () => {
    setState((before) => ({ ...before, isStale: true }));
    setAttempt((before) => before + 1);
  };
  return { ...state, again };
}
