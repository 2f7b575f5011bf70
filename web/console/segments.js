/** Segments of users, synonyms, and searches, of which those without results say what the shop does not have. */

import { Field, Segmented } from "../common/components.js";
import { ago, money, number, percent } from "../common/format.js";
import { t } from "../common/i18n.js";
import { html, useState } from "../common/view.js";
import { ShareBar } from "./charts.js";
import { Card, ConfirmButton, Nothing, Pages, Shown, Table, useAction, usePolled } from "./parts.js";
import { api, mayWrite, shop } from "./session.js";

export function Segments() {
  const segments = usePolled("/admin/segments");
  const { currency } = shop.get();
  return html`<${Shown} of=${segments} lines=${8}>${(/** @type {any} */ found) =>
    found.segments.length === 0
      ? html`<${Nothing} icon="people" title=${t("segments.none")} text=${t("segments.none.text")} />`
      : html`<div class="cards">${found.segments.map(
          (/** @type {any} */ one) => html`<${Card} key=${one.id} title=${one.name} text=${one.ended_at ? t("segments.ended") : t("segments.as-of", { when: ago(one.computed_at) })}>
            <dl class="metrics metrics-plain">
              <div class="metric"><dt>${t("segments.size")}</dt><dd class="figure metric-value">${number(one.size)}</dd><dd class="small muted">+${number(one.movement.joined)} / −${number(one.movement.left)}</dd></div>
              <div class="metric"><dt>${t("segments.revenue", { n: one.value.days })}</dt><dd class="figure metric-value">${money(one.value.revenue, currency)}</dd></div>
              <div class="metric"><dt>${t("segments.buyers")}</dt><dd class="figure metric-value">${percent(one.profile.buyers)}</dd></div>
            </dl>
            <ul class="plain">${one.profile.categories.map(
              (/** @type {any} */ category) => html`<li key=${category.id} class="share-line"><span>${category.name}</span><${ShareBar} share=${category.share} label=${percent(category.share)} /><span class="figure small muted">${percent(category.share)}</span></li>`,
            )}</ul>
          <//>`,
        )}</div>`}<//>`;
}

export function Search() {
  const [only, setOnly] = useState("0");
  const [page, setPage] = useState(1);
  const searches = usePolled("/admin/searches", { results: only === "0" ? 0 : null, page, page_size: 20 });
  const [term, setTerm] = useState("");
  return html`<div class="cards">
    <${Card} title=${t("search.title")} text=${t("search.text")}
      tools=${html`<${Segmented} name="only" label=${t("search.which")} value=${only} values=${[["0", t("search.without")], ["all", t("search.all")]]} onChange=${(/** @type {string} */ next) => { setOnly(next); setPage(1); }} />`}>
      <${Shown} of=${searches} lines=${8}>${(/** @type {any} */ found) => html`<${Table} label=${t("search.title")} rows=${found.searches} rowKey=${(/** @type {any} */ row) => row.query}
          empty=${html`<${Nothing} icon="search" title=${t("overview.none-missed")} text=${t("overview.none-missed.text")} />`}
          columns=${[
            { title: t("search.query"), long: true, cell: (/** @type {any} */ row) => row.query },
            { title: t("search.searches"), kind: "number", cell: (/** @type {any} */ row) => number(row.searches) },
            { title: t("search.results"), kind: "number", cell: (/** @type {any} */ row) => row.results === null ? "–" : number(row.results) },
            { title: t("common.actions"), kind: "actions", cell: (/** @type {any} */ row) => html`<button type="button" class="button button-small" onClick=${() => { setTerm(row.query); document.getElementById("field-meant")?.focus(); }}>${t("search.synonym")}</button>` },
          ]} />
        <${Pages} page=${found.page} of=${found.total_pages} onPage=${setPage} />`}<//>
    <//>
    <${Synonyms} term=${term} setTerm=${setTerm} />
  </div>`;
}

/** @param {{term: string, setTerm: (term: string) => void}} props */
function Synonyms({ term, setTerm }) {
  const synonyms = usePolled("/admin/synonyms");
  const [meant, setMeant] = useState("");
  const [add, isBusy] = useAction(async () => {
    await api.post("/admin/synonyms", { term, meant });
    setTerm("");
    setMeant("");
    synonyms.again();
    return t("synonyms.added");
  });
  return html`<${Card} title=${t("synonyms.title")} text=${t("synonyms.text")}>
    <form class="form-row" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); void add(); }}>
      <${Field} label=${t("synonyms.term")} name="term" value=${term} onInput=${setTerm} required autocomplete="off" />
      <${Field} label=${t("synonyms.meant")} name="meant" value=${meant} onInput=${setMeant} required autocomplete="off" />
      <button type="submit" class="button button-main" disabled=${isBusy || !mayWrite()}>${t("common.add")}</button>
    </form>
    <${Shown} of=${synonyms}>${(/** @type {any} */ found) => html`<${Table} label=${t("synonyms.title")} rows=${found.synonyms} rowKey=${(/** @type {any} */ row) => row.id}
      empty=${html`<p class="muted">${t("synonyms.none")}</p>`}
      columns=${[
        { title: t("synonyms.term"), long: true, cell: (/** @type {any} */ row) => row.term },
        { title: t("synonyms.meant"), long: true, cell: (/** @type {any} */ row) => `${row.two_way ? "↔" : "→"} ${row.meant}` },
        { title: t("common.actions"), kind: "actions", cell: (/** @type {any} */ row) => html`<${ConfirmButton} bad label=${t("common.delete")} title=${t("synonyms.delete")} text=${`${row.term} → ${row.meant}`}
            action=${async () => { await api.delete(`/admin/synonyms/${row.id}`); synonyms.again(); return t("synonyms.deleted"); }} />` },
      ]} />`}<//>
  <//>`;
}
