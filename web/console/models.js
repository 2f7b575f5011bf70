/** Model versions: their scores beside each other, activation and roll-back; training runs with their reports. */

import { ago, number } from "../common/format.js";
import { problemText, toast } from "../common/components.js";
import { t } from "../common/i18n.js";
import { html, useState } from "../common/view.js";
import { Card, ConfirmButton, Json, Nothing, Pages, Shown, State, Table, usePolled, when } from "./parts.js";
import { api } from "./session.js";

export function Models() {
  const models = usePolled("/admin/models", {}, 30);
  const [compared, setCompared] = useState(/** @type {number[]} */ ([]));
  /** @param {number} version */
  const toggle = (version) =>
    setCompared((before) => (before.includes(version) ? before.filter((one) => one !== version) : [...before, version].slice(-2)));
  return html`<${Shown} of=${models} lines=${8}>${(/** @type {any} */ found) => {
    const active = found.models.find((/** @type {any} */ model) => model.active);
    const two = compared.map((version) => found.models.find((/** @type {any} */ model) => model.version === version)).filter(Boolean);
    return html`
      <${Card} title=${t("models.versions")} text=${t("models.text")}>
        <${Table} label=${t("models.versions")} rows=${found.models} rowKey=${(/** @type {any} */ row) => row.version}
          rowClass=${(/** @type {any} */ row) => (row.active ? "is-current" : "")}
          empty=${html`<${Nothing} icon="pulse" title=${t("models.none")} text=${t("models.none.text")} />`}
          columns=${[
            { title: t("models.version"), cell: (/** @type {any} */ row) => html`<strong>${row.version}</strong> ${row.active ? html`<${State} state="active" />` : null}` },
            { title: t("models.algorithm"), cell: (/** @type {any} */ row) => row.algorithm },
            { title: t("models.published"), cell: (/** @type {any} */ row) => html`<span title=${when(row.published_at)}>${ago(row.published_at)}</span>` },
            { title: "NDCG@20", kind: "number", cell: (/** @type {any} */ row) => score(row) },
            { title: t("models.compare"), cell: (/** @type {any} */ row) => html`<label class="check"><input type="checkbox" checked=${compared.includes(row.version)} onChange=${() => toggle(row.version)} /><span class="visually-hidden">${t("models.compare-one", { version: row.version })}</span></label>` },
            { title: t("common.actions"), kind: "actions", cell: (/** @type {any} */ row) => row.active ? null : !row.stored ? html`<span class="small muted">${t("models.dropped")}</span>` : html`<${ConfirmButton}
                label=${active && row.version < active.version ? t("models.roll-back") : t("models.activate")}
                title=${t("models.switch.title", { version: row.version })}
                text=${t("models.switch.text", { version: row.version, previous: active?.version ?? "–" })}
                action=${async () => {
                  const answer = (await api.post(`/admin/models/${row.version}/activate`)).body;
                  models.again();
                  return t("models.switched", { version: answer.version });
                }} />` },
          ]} />
      <//>
      ${two.length === 2 ? html`<${Comparison} left=${two[0]} right=${two[1]} />` : null}`;
  }}<//>`;
}

/** @param {any} model */
function score(model) {
  const found = numbersOf(model.metrics).find(([name]) => /ndcg(@20)?$/i.test(name));
  return found ? number(found[1], 4) : "–";
}

/** Returns the numbers within an object, by their paths. @param {any} value @param {string} [prefix] @returns {[string, number][]} */
function numbersOf(value, prefix = "") {
  if (typeof value === "number") return [[prefix, value]];
  if (value === null || typeof value !== "object" || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([name, part]) => numbersOf(part, prefix ? `${prefix}.${name}` : name));
}

/** @param {{left: any, right: any}} props */
function Comparison({ left, right }) {
  const of = (/** @type {any} */ model) => new Map(numbersOf({ metrics: model.metrics, parameters: model.parameters }));
  const [first, second] = [of(left), of(right)];
  const rows = [...new Set([...first.keys(), ...second.keys()])].filter((name) => first.get(name) !== second.get(name)).sort();
  /** @param {number | undefined} value */
  const shown = (value) => (value === undefined ? "–" : number(value, Number.isInteger(value) ? 0 : 4));
  return html`<${Card} title=${t("models.comparison", { left: left.version, right: right.version })} text=${t("models.comparison.text")}>
    <${Table} label=${t("models.comparison", { left: left.version, right: right.version })} rows=${rows} rowKey=${(/** @type {any} */ row) => row}
      columns=${[
        { title: t("models.figure"), long: true, cell: (/** @type {any} */ row) => html`<code>${row}</code>` },
        { title: t("model.version", { version: left.version }), kind: "number", cell: (/** @type {any} */ row) => shown(first.get(row)) },
        { title: t("model.version", { version: right.version }), kind: "number", cell: (/** @type {any} */ row) => shown(second.get(row)) },
      ]} />
  <//>`;
}

export function Reports() {
  const [page, setPage] = useState(1);
  const runs = usePolled("/admin/training-runs", { page, page_size: 20 }, 60);
  /** Opens a page before the link is here: a browser blocks pages that open later. @param {any} run */
  async function open(run) {
    const tab = window.open("about:blank", "_blank");
    try {
      const { url } = (await api.post(`/admin/training-runs/${run.id}/report-link`)).body;
      if (tab) {
        tab.opener = null;
        tab.location.replace(new URL(url, location.href));
      } else {
        location.assign(url);
      }
    } catch (error) {
      tab?.close();
      toast(problemText(error), { kind: "bad" });
    }
  }
  return html`<${Card} title=${t("reports.title")} text=${t("reports.text")}>
    <${Shown} of=${runs} lines=${8}>${(/** @type {any} */ found) => html`<${Table} label=${t("reports.title")} rows=${found.runs} rowKey=${(/** @type {any} */ row) => row.id}
        empty=${html`<${Nothing} icon="clock" title=${t("reports.none")} text=${t("reports.none.text")} />`}
        columns=${[
          { title: t("reports.when"), cell: (/** @type {any} */ row) => when(row.ended_at) },
          { title: t("reports.job"), cell: (/** @type {any} */ row) => row.job },
          { title: t("reports.outcome"), cell: (/** @type {any} */ row) => html`<${State} state=${row.outcome} text=${row.outcome} />` },
          { title: t("models.version"), kind: "number", cell: (/** @type {any} */ row) => row.version ?? "–" },
          { title: t("reports.details"), long: true, cell: (/** @type {any} */ row) => html`<${Json} value=${row.details} label=${t("reports.figures")} />` },
          { title: t("common.actions"), kind: "actions", cell: (/** @type {any} */ row) => row.report ? html`<button type="button" class="button button-small" onClick=${() => open(row)}>${t("reports.open")}</button>` : null },
        ]} />
      <${Pages} page=${found.page} of=${found.total_pages} onPage=${setPage} />`}<//>
  <//>`;
}
