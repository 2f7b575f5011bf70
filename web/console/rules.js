/** The shop's rules for recommendations: what they do, which products they select, and a preview of their effect. */

import { Dialog, Field, Icon, ProblemNote, problemText, Segmented } from "../common/components.js";
import { displayName, money, number, percent } from "../common/format.js";
import { t } from "../common/i18n.js";
import { link } from "../common/router.js";
import { html, useState } from "../common/view.js";
import { Card, ConfirmButton, Nothing, Shown, State, Table, useAction, useForm, usePolled, WriteButton } from "./parts.js";
import { api, shop } from "./session.js";

const KINDS = ["pin", "boost", "bury", "exclude"];

export function Rules() {
  const rules = usePolled("/admin/rules");
  const segments = usePolled("/admin/segments");
  const [edited, setEdited] = useState(/** @type {any} */ (null));
  const names = new Map((segments.value?.segments ?? []).map((/** @type {any} */ one) => [one.id, one.name]));
  return html`<${Card} title=${t("rules.title")} text=${t("rules.text")}
      tools=${html`<a class="button button-small" href=${link("/recommendations/preview", { visitor: "1" })}>${t("rules.preview")}</a>
        <${WriteButton} label=${t("rules.add")} main onClick=${() => setEdited({ kind: "boost" })} />`}>
      <${Shown} of=${rules}>${(/** @type {any} */ found) => html`<${Table} label=${t("rules.title")} rows=${found.rules} rowKey=${(/** @type {any} */ row) => row.id}
        empty=${html`<${Nothing} icon="filter" title=${t("rules.none")} text=${t("rules.none.text")} />`}
        columns=${[
          { title: t("rules.effect"), cell: (/** @type {any} */ row) => html`<strong>${t(`rule.${row.kind}`)}</strong>${row.factor ? ` × ${number(row.factor, 2)}` : ""}${row.position ? ` ${t("rules.at", { position: row.position })}` : ""}` },
          { title: t("rules.products"), long: true, cell: (/** @type {any} */ row) => selection(row) },
          { title: t("rules.for"), cell: (/** @type {any} */ row) => row.segment_id === null ? t("rules.everybody") : (names.get(row.segment_id) ?? t("rules.segment", { id: row.segment_id })) },
          { title: t("rules.note"), long: true, cell: (/** @type {any} */ row) => row.note },
          { title: t("rules.state"), cell: (/** @type {any} */ row) => row.in_force ? html`<${State} state="in_force" />` : html`<${State} state="paused" text=${t("state.not-in-force")} />` },
          { title: t("common.actions"), kind: "actions", cell: (/** @type {any} */ row) => html`<span class="row row-end">
              <${WriteButton} label=${t("common.edit")} onClick=${() => setEdited(row)} />
              <${ConfirmButton} bad label=${t("common.delete")} title=${t("rules.delete")} text=${t("rules.delete.text", { what: selection(row) })}
                action=${async () => { await api.delete(`/admin/rules/${row.id}`); rules.again(); return t("rules.deleted"); }} /></span>` },
        ]} />`}<//>
    <//>
    <${Dialog} side title=${edited?.id ? t("rules.edit") : t("rules.add")} isOpen=${edited !== null} onClose=${() => setEdited(null)}>
      ${edited ? html`<${Editor} key=${edited.id ?? "new"} rule=${edited} segments=${segments.value?.segments ?? []} onDone=${() => { setEdited(null); rules.again(); }} />` : null}
    <//>`;
}

/** Returns which products a rule selects, as text. @param {any} rule */
function selection(rule) {
  const { currency } = shop.get();
  const parts = [];
  if (rule.product_id !== null) parts.push(t("rules.product", { id: rule.external_id ?? rule.product_id }));
  if (rule.category_id !== null) parts.push(t("rules.category", { id: rule.category_id }));
  if (rule.brand !== null) parts.push(t("rules.brand", { name: rule.brand }));
  if (rule.tag !== null) parts.push(t("rules.tag", { name: rule.tag }));
  if (rule.price_min !== null) parts.push(`≥ ${money(rule.price_min, currency)}`);
  if (rule.price_max !== null) parts.push(`≤ ${money(rule.price_max, currency)}`);
  if (rule.discount_min !== null) parts.push(t("rules.discount", { share: percent(rule.discount_min) }));
  return parts.join(", ");
}

/** @param {{rule: any, segments: any[], onDone: () => void}} props */
function Editor({ rule, segments, onDone }) {
  const [kind, setKind] = useState(rule.kind);
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const [affected, setAffected] = useState(/** @type {any} */ (null));
  const text = (/** @type {string} */ name) => (rule[name] === null || rule[name] === undefined ? "" : String(rule[name]));
  const names = ["external_id", "position", "category_id", "brand", "tag", "factor", "price_min", "price_max", "segment_id", "note"];
  const [values, field, set] = useForm({ ...Object.fromEntries(names.map((name) => [name, text(name)])), active: rule.active ?? true }, "rules.field");
  /** Returns the rule as the API takes it. */
  function body() {
    const given = (/** @type {string} */ name) => values[name].trim() || null;
    const figure = (/** @type {string} */ name) => (given(name) === null ? null : Number(given(name)));
    const isPin = kind === "pin";
    return {
      kind,
      external_id: given("external_id"),
      product_id: null,
      category_id: isPin ? null : figure("category_id"),
      brand: isPin ? null : given("brand"),
      tag: isPin ? null : given("tag"),
      price_min: isPin ? null : figure("price_min"),
      price_max: isPin ? null : figure("price_max"),
      segment_id: figure("segment_id"),
      factor: kind === "boost" || kind === "bury" ? figure("factor") : null,
      position: isPin ? figure("position") : null,
      active: values.active,
      note: values.note,
    };
  }
  const [save, isBusy] = useAction(async () => {
    if (rule.id) await api.patch(`/admin/rules/${rule.id}`, body());
    else await api.post("/admin/rules", body());
    onDone();
    return t("rules.saved");
  });
  /** Shows the first products that the criteria select, from the catalog. */
  async function look() {
    const { external_id, category_id, tag, brand, price_min, price_max } = body();
    setError(null);
    try {
      const query = { external_id, category_id, tags: tag, min_price: price_min, max_price: price_max, search: brand, page_size: 5 };
      setAffected((await api.get("/products", query)).body);
    } catch (problem) {
      setError(problem);
    }
  }
  return html`<form id="rule-form" class="stack" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); void save(); }}>
    <${Segmented} name="kind" label=${t("rules.effect")} value=${kind} values=${KINDS.map((one) => [one, t(`rule.${one}`)])} onChange=${setKind} />
    <p class="muted small">${t(`rule.${kind}.text`)}</p>
    ${field("external_id", { hint: t("rules.field.external_id.hint") })}
    ${kind === "pin" ? field("position", { type: "number", min: 1, max: 100 }) : html`
      <div class="two">${field("category_id", { type: "number" })}${field("brand")}</div>
      <div class="two">${field("tag")}${kind === "exclude" ? null : field("factor", { type: "number", step: "any" })}</div>
      <div class="two">${field("price_min", { type: "number", step: "any" })}${field("price_max", { type: "number", step: "any" })}</div>`}
    <div class="field"><label for="rule-segment">${t("rules.for")}</label>
      <select id="rule-segment" name="segment_id" class="select select-tall" value=${values.segment_id} onChange=${(/** @type {any} */ event) => set("segment_id", event.currentTarget.value)}>
        <option value="">${t("rules.everybody")}</option>
        ${segments.filter((one) => one.ended_at === null).map((one) => html`<option key=${one.id} value=${String(one.id)}>${one.name}</option>`)}
      </select></div>
    ${field("note", { hint: t("rules.field.note.hint"), maxlength: 500 })}
    <label class="check"><input type="checkbox" name="active" checked=${values.active} onChange=${(/** @type {any} */ event) => set("active", event.currentTarget.checked)} /> ${t("rules.active")}</label>
    ${error ? html`<p class="wrong" role="alert">${problemText(error)}</p>` : null}
    ${affected ? html`<div class="sunken"><p class="small">${t("rules.affected", { n: affected.total })}</p>
      <ul class="plain small">${affected.products.map((/** @type {any} */ one) => html`<li key=${one.id}>${one.name}</li>`)}</ul></div>` : null}
    </form>
    <${Effect} draft=${() => ({ rule: { ...kept(rule), ...body() }, rule_id: rule.id ?? null })} />
    <div class="row dialog-actions">
      <button type="button" class="button" onClick=${look}>${t("rules.look")}</button>
      <button type="submit" form="rule-form" class="button button-main" disabled=${isBusy}>${t("common.save")}</button>
    </div>`;
}

/** Returns the fields of a stored rule that the form does not show. @param {any} rule */
function kept(rule) {
  return { discount_min: rule.discount_min ?? null, starts_at: rule.starts_at ?? null, ends_at: rule.ends_at ?? null };
}

/**
 * What the rule would change for a user or a new visitor, before it is saved. The server computes it; nothing is stored.
 *
 * @param {{draft: () => {rule: any, rule_id: number | null}}} props
 */
function Effect({ draft }) {
  const [user, setUser] = useState("");
  const [found, setFound] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const [isBusy, setBusy] = useState(false);
  async function show() {
    setBusy(true);
    setError(null);
    try {
      setFound((await api.post("/admin/preview", { ...draft(), user_id: user.trim() || null })).body);
    } catch (problem) {
      // it names the field of the rule to change
      setFound(null);
      setError(problem);
    } finally {
      setBusy(false);
    }
  }
  return html`<section class="sunken effect" aria-label=${t("rules.effect-of")}>
    <h3>${t("rules.effect-of")}</h3>
    <p class="small muted">${t("rules.effect-of.text")}</p>
    <form class="form-row" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); void show(); }}>
      <${Field} label=${t("preview.user")} name="effect-user" value=${user} onInput=${setUser} hint=${t("rules.effect-of.user")} maxlength=${255} autocomplete="off" />
      <button type="submit" class="button" disabled=${isBusy}>${isBusy ? t("rules.comparing") : t("rules.compare")}</button>
    </form>
    ${error ? html`<${ProblemNote} error=${error} />` : null}
    ${found ? html`<p role="status" class="small"><strong>${t(found.changes ? "rules.changes" : "rules.changes-nothing")}</strong> ${found.user_id === null ? t("rules.for-visitor") : t("rules.for-user", { user: found.user_id })}</p>
      <div class="two compared">
        <${Answer} title=${t("rules.before")} places=${found.before} />
        <${Answer} title=${t("rules.after")} places=${found.after} />
      </div>` : null}
  </section>`;
}

const MARKS = {
  up: { icon: "up", tag: "tag-good" }, down: { icon: "down", tag: "tag-warm" }, added: { icon: "plus", tag: "tag-good" }, removed: { icon: "close", tag: "tag-bad" },
};

/** @param {{title: string, places: any[]}} props */
function Answer({ title, places }) {
  return html`<div>
    <h4>${title}</h4>
    ${places.length === 0 ? html`<p class="small muted">${t("common.nothing")}</p>` : null}
    <ol class="plain places-list small">${places.map((one) => html`<li key=${one.product.id} class=${`place place-${one.change}`}>
      <span class="figure muted">${one.place}</span>
      <span class="place-name">${displayName(one.product.name)}</span>
      ${one.change === "same" ? null : html`<${Mark} change=${one.change} other=${one.other_place} />`}
    </li>`)}</ol>
  </div>`;
}

/** What the rule does to a product, and its place in the other answer. @param {{change: keyof typeof MARKS, other: number | null}} props */
function Mark({ change, other }) {
  const { icon, tag } = MARKS[change];
  return html`<span class=${`tag ${tag}`}><${Icon} name=${icon} size="small" /> ${t(`change.${change}`)}${other === null ? "" : ` (${other})`}</span>`;
}
