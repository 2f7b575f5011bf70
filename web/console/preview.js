/** The preview: what a user or a session is recommended, with every candidate explained. */

import { Field, Icon } from "../common/components.js";
import { displayName, money, number } from "../common/format.js";
import { t } from "../common/i18n.js";
import { go, link, route } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, useState } from "../common/view.js";
import { ShareBar } from "./charts.js";
import { Card, Metric, Nothing, Shown, Table, usePolled } from "./parts.js";
import { shop } from "./session.js";

/** Candidates that are shown at once: there are hundreds. */
const STEP = 25;
const PATH = "/recommendations/preview";

export function Preview() {
  const { query } = useStore(route);
  const isOpen = query.has("user_id") || query.has("product_id") || query.has("visitor");
  const [user, setUser] = useState(query.get("user_id") ?? "");
  const [product, setProduct] = useState(query.get("product_id") ?? "");
  /** @param {Event} event */
  function show(event) {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    go(link(PATH, {
      user_id: user.trim(),
      product_id: product.trim(),
      k: String(form.get("k")),
      repeats: String(form.get("repeats")),
      visitor: user.trim() || product.trim() ? "" : "1",
    }));
  }
  const parameters = {
    user_id: query.get("user_id"), product_id: query.get("product_id"), k: query.get("k") ?? "10", repeats: query.get("repeats") ?? "exclude",
  };
  const found = usePolled(isOpen ? "/admin/preview" : null, parameters);
  return html`<${Card} title=${t("preview.title")} text=${t("preview.text")}>
      <form class="form-row" onSubmit=${show}>
        <${Field} label=${t("preview.user")} name="user" value=${user} onInput=${setUser} hint=${t("preview.user.hint")} maxlength=${255} autocomplete="off" />
        <${Field} label=${t("preview.product")} name="product" value=${product} onInput=${setProduct} hint=${t("preview.product.hint")} autocomplete="off" />
        <div class="field"><label for="preview-k">${t("preview.k")}</label>
          <select id="preview-k" name="k" class="select select-tall">${["5", "10", "20", "50"].map((k) => html`<option key=${k} value=${k} selected=${k === parameters.k}>${k}</option>`)}</select></div>
        <div class="field"><label for="preview-repeats">${t("preview.repeats")}</label>
          <select id="preview-repeats" name="repeats" class="select select-tall">${["exclude", "include", "only"].map((name) => html`<option key=${name} value=${name} selected=${name === parameters.repeats}>${t(`repeats.${name}`)}</option>`)}</select></div>
        <button type="submit" class="button button-main">${t("preview.show")}</button>
      </form>
    <//>
    ${isOpen
      ? html`<${Shown} of=${found} lines=${14}>${(/** @type {any} */ body) => html`<${Explained} body=${body} />`}<//>`
      : html`<${Nothing} icon="person" title=${t("preview.empty")} text=${t("preview.empty.text")} />`}`;
}

/** @param {{body: any}} props */
function Explained({ body }) {
  const chosen = body.candidates.filter((/** @type {any} */ one) => one.verdict === "in");
  const others = body.candidates.filter((/** @type {any} */ one) => one.verdict === "out");
  return html`
    <dl class="metrics metrics-plain">
      <${Metric} label=${t("preview.strategy")} value=${t(`strategy.${body.strategy}`)} />
      <${Metric} label=${t("preview.model")} value=${body.model_version === null ? "–" : t("model.version", { version: body.model_version })} note=${body.algorithm ?? t("operations.no-model")} />
      <${Metric} label=${t("preview.profile")} value=${t("preview.products", { n: body.profile.length })} />
      <${Metric} label=${t("preview.considered")} value=${t("preview.products", { n: body.candidates.length })} note=${t("preview.in", { n: chosen.length })} />
    </dl>
    <div class="cards">
      <${Card} title=${t("preview.profile")} text=${t("preview.profile.text")}>
        <${Table} label=${t("preview.profile")} rows=${body.profile.slice(0, 8)} rowKey=${(/** @type {any} */ row) => row.product_id}
          columns=${[
            { title: t("product"), long: true, cell: (/** @type {any} */ row) => row.name === null ? "–" : displayName(row.name) },
            { title: t("preview.did"), cell: (/** @type {any} */ row) => t(`event.${row.event_type}`) },
            { title: t("preview.weight"), kind: "number", cell: (/** @type {any} */ row) => number(row.weight, 2) },
          ]} />
      <//>
      <${Card} title=${t("preview.taste")} text=${t("preview.taste.text")}>
        <${Table} label=${t("preview.taste")} rows=${body.taste.slice(0, 8)} rowKey=${(/** @type {any} */ row) => row.kind + row.key}
          columns=${[
            { title: t("preview.likes"), long: true, cell: (/** @type {any} */ row) => html`${row.name}<div class="small muted">${t(`taste.${row.kind}`)}</div>` },
            { title: t("preview.weight"), kind: "number", cell: (/** @type {any} */ row) => number(row.weight, 2) },
          ]} />
      <//>
    </div>
    <${Card} title=${t("preview.answer")} text=${t("preview.answer.text")}><${Candidates} label=${t("preview.answer")} rows=${chosen} /><//>
    <${Card} title=${t("preview.others")} text=${t("preview.others.text")}><${Others} rows=${others} /><//>
  `;
}

/** The other candidates, all or those left out for one reason. @param {{rows: any[]}} props */
function Others({ rows }) {
  const [chosen, setChosen] = useState("");
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const row of rows) for (const reason of row.reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const reasons = [...counts].sort((left, right) => right[1] - left[1]);
  const listed = chosen ? rows.filter((row) => row.reasons.includes(chosen)) : rows;
  return html`<div class="row" role="group" aria-label=${t("preview.why")}>
      ${[/** @type {[string, number]} */ (["", rows.length]), ...reasons].map(
        ([reason, n]) => html`<button key=${reason} type="button" class=${`chip ${reason === chosen ? "is-chosen" : ""}`} aria-pressed=${reason === chosen} onClick=${() => setChosen(reason)}>
          ${reason ? t(`reason.${reason}`) : t("catalog.all")} <span class="muted figure">${number(n)}</span>
        </button>`,
      )}
    </div>
    <${Candidates} key=${chosen} label=${t("preview.others")} rows=${listed} />`;
}

/** @param {{label: string, rows: any[]}} props */
function Candidates({ label, rows }) {
  const { currency } = useStore(shop);
  const [shown, setShown] = useState(STEP);
  return html`<${Table} label=${label} rows=${rows.slice(0, shown)} rowKey=${(/** @type {any} */ row) => row.product.id}
    columns=${[
      { title: t("preview.place"), kind: "number", cell: (/** @type {any} */ row) => html`<${Place} row=${row} />` },
      { title: t("product"), long: true, cell: (/** @type {any} */ row) => html`<a href=${link(`/catalog/products/${row.product.id}`)}>${displayName(row.product.name)}</a>
          <div class="small muted">${[row.product.external_id, row.product.category_path, money(row.product.price, currency)].filter(Boolean).join(" · ")}</div>` },
      { title: t("preview.why"), long: true, cell: (/** @type {any} */ row) => html`<${Why} row=${row} />` },
      { title: t("preview.score"), kind: "number", cell: (/** @type {any} */ row) => html`<${Score} row=${row} />` },
    ]} />
    ${rows.length > shown ? html`<div class="row pages"><button type="button" class="button button-small" onClick=${() => setShown(shown + STEP)}>${t("preview.more", { n: rows.length - shown })}</button></div>` : null}`;
}

/** @param {{row: any}} props */
function Place({ row }) {
  if (row.place === null) return html`<span class="muted">–</span>`;
  const before = row.place_without_rules;
  if (before === row.place) return html`<strong>${row.place}</strong>`;
  const title = before === null ? t("preview.not-without-rules") : t("preview.without-rules", { place: before });
  return html`<strong>${row.place}</strong><div class="small muted moved" title=${title}>
    <${Icon} name=${before === null || before > row.place ? "up" : "down"} size="small" label=${title} />${before ?? ""}</div>`;
}

/** @param {{row: any}} props */
function Why({ row }) {
  return html`<div class="row why">
      ${row.origin ? html`<span class="tag">${t(`origin.${row.origin}`)}</span>` : null}
      ${row.reasons.map((/** @type {string} */ reason) => html`<span key=${reason} class=${`tag ${row.verdict === "in" ? "tag-good" : "tag-warm"}`}>${t(`reason.${reason}`)}</span>`)}
    </div>
    ${row.sources.length > 0
      ? html`<p class="small">${t("preview.because")} ${row.sources.map((/** @type {any} */ source, /** @type {number} */ index) => html`<span key=${source.product_id}>${index > 0 ? ", " : ""}${source.name === null ? "–" : displayName(source.name)} <span class="muted figure">+${number(source.part, 2)}</span></span>`)}</p>`
      : null}
    ${row.rules.map((/** @type {any} */ rule) => html`<p class="small" key=${rule.id}><strong>${t(`rule.${rule.kind}`)}</strong>${rule.factor === null ? "" : ` × ${number(rule.factor, 2)}`}: ${rule.text}</p>`)}`;
}

/** @param {{row: any}} props */
function Score({ row }) {
  if (row.score === null) return html`<span class="muted">–</span>`;
  const { profile, taste, trend, nearness, rules } = row.parts;
  const text = t("preview.parts", { profile: number(profile, 3), taste: number(taste, 3), trend: number(trend, 3), nearness: number(nearness, 2), rules: number(rules, 2) });
  return html`<strong class="figure">${number(row.score, 3)}</strong>
    <span class="parts" role="img" aria-label=${text} title=${text}>
      <${ShareBar} share=${profile} label=${t("preview.part.profile")} />
      <${ShareBar} share=${taste} label=${t("preview.part.taste")} colour="warm" />
      <span class="small muted figure">${number(profile, 2)} + ${number(taste, 2)} + ${number(trend, 2)}${rules === 1 ? "" : ` × ${number(rules, 2)}`}</span>
    </span>`;
}
