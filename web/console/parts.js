/** Building blocks of the console: cards, tables, figures, dialogs, and data that stays current. Every value is text. */

import { isAborted, queryString } from "../common/api.js";
import { Dialog, Empty, Field, Icon, problemText, ProblemNote, SkeletonText, toast } from "../common/components.js";
import { t } from "../common/i18n.js";
import { html, useEffect, useState } from "../common/view.js";
import { api, mayWrite, shop } from "./session.js";
import { dateTime } from "../common/format.js";

/** @typedef {import("../common/view.js").Child} Child */
/** @typedef {Record<string, import("../common/api.js").Value | import("../common/api.js").Value[]>} Query */
/** @typedef {{value: any, error: unknown, again: () => void}} Loaded */

/**
 * Reads a path, and again every `everyS` seconds while the page is visible. An unchanged answer (304) changes nothing.
 *
 * @param {string | null} path null reads nothing
 * @param {Query} [query]
 * @param {number} [everyS] 0 reads once
 * @returns {Loaded}
 */
export function usePolled(path, query = {}, everyS = 0) {
  const key = path === null ? "" : path + queryString(query);
  const [state, setState] = useState({ key: "", value: /** @type {any} */ (null), error: /** @type {unknown} */ (null) });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (!key) return;
    const controller = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    /** @type {string | null} */
    let tag = null;
    async function load() {
      try {
        /** @type {Record<string, string>} */
        const headers = tag ? { "If-None-Match": tag } : {};
        const answer = await api.request("GET", key, { signal: controller.signal, headers });
        if (controller.signal.aborted) return;
        if (answer.status !== 304) {
          tag = answer.headers.get("ETag");
          setState({ key, value: answer.body, error: null });
        } else {
          setState((before) => (before.error ? { ...before, error: null } : before));
        }
      } catch (error) {
        if (isAborted(error) || controller.signal.aborted) return;
        setState((before) => ({ key, value: before.key === key ? before.value : null, error }));
      }
      plan();
    }
    function plan() {
      if (everyS) timer = setTimeout(() => (document.hidden ? plan() : void load()), everyS * 1000);
    }
    void load();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [key, attempt, everyS]);
  const isCurrent = state.key === key;
  return {
    value: isCurrent ? state.value : null,
    error: isCurrent ? state.error : null,
    again: () => setAttempt((before) => before + 1),
  };
}

/**
 * Shows what was loaded, a skeleton before it is here, and an error with a way on.
 *
 * @param {{of: Loaded, lines?: number, children: (value: any) => Child}} props
 */
export function Shown({ of, lines = 5, children }) {
  if (of.value === null && of.error) return html`<${ProblemNote} error=${of.error} onRetry=${of.again} />`;
  if (of.value === null) return html`<div aria-busy="true"><${SkeletonText} lines=${lines} /></div>`;
  return html`${of.error ? html`<${ProblemNote} error=${of.error} onRetry=${of.again} />` : null}${children(of.value)}`;
}

/** @param {{title: string, text?: string, tools?: Child, children: Child, wide?: boolean, id?: string}} props */
export function Card({ title, text, tools, children, wide = false, id }) {
  return html`<section class=${wide ? "panel card card-wide" : "panel card"} id=${id} aria-label=${title}>
    <header class="card-head">
      <div>
        <h2>${title}</h2>
        ${text ? html`<p class="muted small">${text}</p>` : null}
      </div>
      ${tools ? html`<div class="row card-tools">${tools}</div>` : null}
    </header>
    ${children}
  </section>`;
}

/** @param {{title: string, text?: string, tools?: Child}} props */
export function PageHead({ title, text, tools }) {
  return html`<header class="page-head">
    <div>
      <h1 tabindex="-1" id="page-title">${title}</h1>
      ${text ? html`<p class="muted">${text}</p>` : null}
    </div>
    ${tools ? html`<div class="row">${tools}</div>` : null}
  </header>`;
}

/** @param {{label: string, value: string, note?: string, kind?: "" | "good" | "bad"}} props */
export function Metric({ label, value, note, kind = "" }) {
  return html`<div class="metric">
    <dt>${label}</dt>
    <dd class=${`figure metric-value ${kind && `is-${kind}`}`}>${value}</dd>
    ${note ? html`<dd class="small muted">${note}</dd>` : null}
  </div>`;
}

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: any) => Child} cell
 * @property {"number" | "actions"} [kind]
 * @property {boolean} [long] breaks long words
 */

/**
 * A table that becomes a list of cards on a phone.
 *
 * @param {{label: string, columns: Column[], rows: any[], rowKey: (row: any) => string | number, empty?: Child,
 *   rowClass?: (row: any) => string}} props
 */
export function Table({ label, columns, rows, rowKey, empty, rowClass }) {
  if (rows.length === 0) return html`${empty ?? html`<p class="muted">${t("common.nothing")}</p>`}`;
  return html`<div class="table-frame" role="region" aria-label=${label} tabindex="0">
    <table class="table">
      <caption class="visually-hidden">${label}</caption>
      <thead>
        <tr>${columns.map((column) => html`<th scope="col" class=${column.kind ?? ""} key=${column.title}>${column.title}</th>`)}</tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) => html`<tr key=${rowKey(row)} class=${rowClass?.(row) ?? ""}>
            ${columns.map(
              (column, place) => html`<td key=${place} class=${`${column.kind ?? ""} ${column.long ? "long" : ""}`} data-title=${column.title}>
                ${column.cell(row)}
              </td>`,
            )}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** @param {{state: string, text?: string}} props a word with the colour of its meaning */
export function State({ state, text }) {
  const kind = GOOD.has(state) ? "tag-good" : BAD.has(state) ? "tag-bad" : WARM.has(state) ? "tag-warm" : "";
  return html`<span class=${`tag ${kind}`}>${text ?? t(`state.${state}`)}</span>`;
}
const GOOD = new Set(["succeeded", "well", "in", "active", "enabled", "published", "evaluated", "in_force"]);
const BAD = new Set(["failed", "rejected"]);
const WARM = new Set(["running", "warning", "paused"]);

/**
 * Returns a function that runs `work` and tells of its end, and whether it runs.
 *
 * @param {(...values: any[]) => Promise<string | void>} work returns what to say
 * @returns {[(...values: any[]) => Promise<boolean>, boolean]}
 */
export function useAction(work) {
  const [isBusy, setBusy] = useState(false);
  /** @param {any[]} values */
  async function run(...values) {
    setBusy(true);
    try {
      const said = await work(...values);
      if (said) toast(said);
      return true;
    } catch (error) {
      toast(problemText(error), { kind: "bad" });
      return false;
    } finally {
      setBusy(false);
    }
  }
  return [run, isBusy];
}

/**
 * A button whose action must be confirmed, disabled for those who may not.
 *
 * @param {{label: string, title: string, text: string, action: () => Promise<string | void>, bad?: boolean, small?: boolean,
 *   main?: boolean, disabled?: boolean, children?: Child}} props
 */
export function ConfirmButton({ label, title, text, action, bad = false, small = true, main = false, disabled = false, children }) {
  const [isOpen, setOpen] = useState(false);
  const [run, isBusy] = useAction(action);
  const may = mayWrite();
  return html`<button
      type="button"
      class=${`button ${small ? "button-small" : ""} ${bad ? "button-bad" : ""} ${main ? "button-main" : ""}`}
      disabled=${disabled || !may}
      title=${may ? undefined : t("common.admins-only")}
      onClick=${() => setOpen(true)}
    >
      ${label}
    </button>
    <${Dialog} title=${title} isOpen=${isOpen} onClose=${() => setOpen(false)}>
      <p>${text}</p>
      ${children}
      <div class="row dialog-actions">
        <button type="button" class="button" onClick=${() => setOpen(false)}>${t("common.cancel")}</button>
        <button
          type="button"
          class=${`button ${bad ? "button-bad" : "button-main"}`}
          disabled=${isBusy}
          onClick=${async () => (await run()) && setOpen(false)}
        >
          ${label}
        </button>
      </div>
    <//>`;
}

/** @param {{label: string, onClick: () => void, disabled?: boolean, main?: boolean}} props a button for those who may write */
export function WriteButton({ label, onClick, disabled = false, main = false }) {
  const may = mayWrite();
  return html`<button
    type="button"
    class=${`button button-small ${main ? "button-main" : ""}`}
    disabled=${disabled || !may}
    title=${may ? undefined : t("common.admins-only")}
    onClick=${onClick}
  >
    ${label}
  </button>`;
}

/**
 * The values of a form, and a function that makes a field of one of them. Values live here and not in the page's elements, so
 * that nothing that was typed is lost when the form is drawn again.
 *
 * @param {Record<string, any>} initial texts, and truth values of boxes
 * @param {string} prefix of the keys of the labels
 * @returns {[Record<string, any>, (name: string, more?: Record<string, unknown>) => Child, (name: string, value: any) => void]}
 */
export function useForm(initial, prefix) {
  const [values, setValues] = useState(() => initial);
  /** @param {string} name @param {any} value */
  const set = (name, value) => setValues((before) => ({ ...before, [name]: value }));
  /** @param {string} name @param {Record<string, unknown>} [more] */
  const field = (name, more = {}) =>
    html`<${Field} label=${t(`${prefix}.${name}`)} name=${name} value=${values[name]} onInput=${(/** @type {string} */ value) => set(name, value)} ...${more} />`;
  return [values, field, set];
}

/** Moves through the pages of a list. @param {{page: number, of: number, onPage: (page: number) => void}} props */
export function Pages({ page, of, onPage }) {
  if (of <= 1) return null;
  return html`<nav class="row pages" aria-label=${t("common.pages")}>
    <button type="button" class="button button-small" disabled=${page <= 1} onClick=${() => onPage(page - 1)}>
      <${Icon} name="left" size="small" /> ${t("common.previous")}
    </button>
    <span class="muted small figure">${t("common.page-of", { page, of })}</span>
    <button type="button" class="button button-small" disabled=${page >= of} onClick=${() => onPage(page + 1)}>
      ${t("common.next")} <${Icon} name="right" size="small" />
    </button>
  </nav>`;
}

/** @param {{title: string, text?: string, icon?: string, children?: Child}} props */
export function Nothing({ title, text, icon = "box", children }) {
  return html`<${Empty} icon=${icon} title=${title} text=${text}>${children}<//>`;
}

/** A moment in the shop's time zone. @param {string | null | undefined} moment */
export function when(moment) {
  return moment ? dateTime(moment, { dateStyle: "medium", timeStyle: "short" }, shop.get().time_zone) : "–";
}

/** JSON for people, to be opened. @param {{value: unknown, label: string}} props */
export function Json({ value, label }) {
  return html`<details class="json"><summary>${label}</summary><pre>${JSON.stringify(value, null, 2)}</pre></details>`;
}

/**
 * The tabs of a section, as links.
 *
 * @param {{label: string, tabs: [string, string][], current: string}} props addresses and texts
 */
export function Tabs({ label, tabs, current }) {
  return html`<nav class="tabs" aria-label=${label}>
    ${tabs.map(
      ([address, text]) =>
        html`<a key=${address} href=${`#${address}`} aria-current=${address === current ? "page" : undefined}>${text}</a>`,
    )}
  </nav>`;
}
