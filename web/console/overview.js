/** What a shop owner wants to know: revenue, what recommendations add to it, visitors, what sells, and what is missed. */

import { displayName, money, number, percent } from "../common/format.js";
import { t } from "../common/i18n.js";
import { link } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, useState } from "../common/view.js";
import { Segmented } from "../common/components.js";
import { Chart } from "./charts.js";
import { Card, Metric, Nothing, PageHead, Shown, Table, usePolled } from "./parts.js";
import { shop } from "./session.js";

const EVERY_S = 60;

export function Overview() {
  const [days, setDays] = useState("30");
  const overview = usePolled("/admin/overview", { days }, EVERY_S);
  const { name } = useStore(shop);
  return html`
    <${PageHead}
      title=${t("overview.title")}
      text=${t("overview.text", { shop: name })}
      tools=${html`<${Segmented}
        name="days"
        label=${t("overview.days")}
        value=${days}
        values=${[["7", t("overview.week")], ["30", t("overview.month")]]}
        onChange=${setDays}
      />`}
    />
    <${Shown} of=${overview} lines=${8}>${(/** @type {any} */ found) => html`<${Sales} overview=${found} />`}<//>
  `;
}

/** @param {{overview: any}} props */
function Sales({ overview }) {
  const { currency } = overview;
  const zone = overview.time_zone;
  const days = overview.by_day.map((/** @type {any} */ day) => day.date);
  const purchases = overview.by_day.reduce((/** @type {number} */ sum, /** @type {any} */ day) => sum + day.purchases, 0);
  /** @param {number} value */
  const price = (value) => money(value, currency);
  const greatest = Math.max(...overview.by_day.map((/** @type {any} */ day) => day.revenue));
  const unit = currency ? t("chart.per-day", { unit: currency }) : t("chart.amount-per-day");
  return html`
    <dl class="metrics">
      <${Metric} label=${t("overview.revenue")} value=${price(overview.revenue)} note=${t("overview.revenue.note", { n: overview.days })} />
      <${Metric} label=${t("overview.recommended")} value=${price(overview.recommended_revenue)} note=${t("overview.recommended.note")} />
      <${Metric} label=${t("overview.share")} value=${overview.recommended_share === null ? "–" : percent(overview.recommended_share, 1)} note=${t("overview.share.note")} />
      <${Metric} label=${t("overview.purchases")} value=${number(purchases)} note=${t("overview.purchases.note")} />
    </dl>
    <div class="cards">
      <${Card} title=${t("overview.revenue-by-day")} wide>
        ${overview.revenue > 0
          ? html`<${Chart}
              title=${t("overview.revenue-by-day")}
              unit=${unit}
              zone=${zone}
              x=${days}
              format=${(/** @type {number} */ value) => number(value, greatest >= 100 ? 0 : 2)}
              series=${[
                { label: t("overview.all"), colour: "soft", values: overview.by_day.map((/** @type {any} */ day) => day.revenue) },
                { label: t("overview.through"), colour: "accent", values: overview.by_day.map((/** @type {any} */ day) => day.recommended_revenue) },
              ]}
            />`
          : html`<${Nothing} icon="cart" title=${t("overview.no-sales")} text=${t("overview.no-sales.text")} />`}
      <//>
      <${Reactions} overview=${overview} />
      <${Card} title=${t("overview.top")} text=${t("overview.top.text")}>
        <${Table}
          label=${t("overview.top")}
          rows=${overview.top_products}
          rowKey=${(/** @type {any} */ row) => row.product.id}
          columns=${[
            { title: t("product"), long: true, cell: (/** @type {any} */ row) => html`<a href=${link(`/catalog/products/${row.product.id}`)}>${displayName(row.product.name)}</a>` },
            { title: t("overview.pieces"), kind: "number", cell: (/** @type {any} */ row) => number(row.pieces) },
            { title: t("overview.revenue"), kind: "number", cell: (/** @type {any} */ row) => price(row.revenue) },
          ]}
        />
      <//>
      <${Card} title=${t("overview.visitors")} text=${t("overview.visitors.text")}><${Visitors} overview=${overview} /><//>
      <${Card} wide title=${t("overview.missed")} text=${t("overview.missed.text")} tools=${html`<a class="button button-small" href=${link("/recommendations/search")}>${t("overview.missed.open")}</a>`}>
        <${Missed} />
      <//>
    </div>
  `;
}

/** Click rate and conversion by kind over time, and click rate by place. @param {{overview: any}} props */
function Reactions({ overview }) {
  const lines = overview.recommendations_by_day;
  const kinds = [...new Set(lines.map((/** @type {any} */ line) => line.kind))].sort();
  const [chosen, setChosen] = useState("");
  const [measure, setMeasure] = useState("ctr");
  const kind = kinds.includes(chosen) ? chosen : kinds[0];
  const own = lines.filter((/** @type {any} */ line) => line.kind === kind);
  const places = overview.recommendations_by_position;
  const title = t(`measure.${measure}`);
  return html`<${Card}
      title=${t("overview.reactions")}
      text=${t("overview.reactions.text")}
      tools=${kinds.length === 0 ? null : html`
        <label><span class="visually-hidden">${t("overview.kind")}</span>
          <select class="select" value=${kind} onChange=${(/** @type {any} */ event) => setChosen(event.currentTarget.value)}>
            ${kinds.map((/** @type {any} */ name) => html`<option key=${name} value=${name}>${t(`kind.${name}`)}</option>`)}
          </select>
        </label>
        <${Segmented} name="measure" label=${t("overview.measure")} value=${measure} values=${[["ctr", t("measure.ctr")], ["conversion", t("measure.conversion")]]} onChange=${setMeasure} />`}
    >
      ${own.every((/** @type {any} */ line) => line[measure] === null)
        ? html`<${Nothing} icon="pulse" title=${t("overview.no-reactions")} text=${t("overview.no-places.text")} />`
        : html`<${Chart} bars title=${title} unit="%" zone="UTC" x=${own.map((/** @type {any} */ line) => line.date)}
        format=${(/** @type {number} */ value) => percent(value, 1)}
        series=${[{ label: title, colour: "accent", values: own.map((/** @type {any} */ line) => line[measure]) }]} />`}
    <//>
    <${Card} title=${t("overview.places")} text=${t("overview.places.text")}>
      ${places.length === 0
        ? html`<${Nothing} icon="pulse" title=${t("overview.no-reactions")} text=${t("overview.no-places.text")} />`
        : html`<${Chart} bars title=${t("overview.places")} unit="%" xLabel=${t("overview.place")}
            x=${places.map((/** @type {any} */ line) => line.position)}
            format=${(/** @type {number} */ value) => percent(value, 1)}
            series=${[{ label: t("measure.ctr"), colour: "warm", values: places.map((/** @type {any} */ line) => line.ctr) }]} />`}
    <//>`;
}

/** Everybody with an event, and those of them who came for the first time. @param {{overview: any}} props */
function Visitors({ overview }) {
  const days = overview.by_day;
  if (days.every((/** @type {any} */ day) => day.visitors === 0)) {
    return html`<${Nothing} icon="people" title=${t("overview.no-visitors")} text=${t("overview.no-visitors.text")} />`;
  }
  return html`<${Chart}
    title=${t("overview.visitors")}
    unit=${t("overview.visitors.unit")}
    zone=${overview.time_zone}
    x=${days.map((/** @type {any} */ day) => day.date)}
    format=${(/** @type {number} */ value) => number(value)}
    series=${[
      { label: t("overview.returning"), colour: "accent", values: days.map((/** @type {any} */ day) => day.visitors - day.new_visitors) },
      { label: t("overview.new"), colour: "warm", values: days.map((/** @type {any} */ day) => day.new_visitors) },
    ]}
  />`;
}

function Missed() {
  const searches = usePolled("/admin/searches", { results: 0, page_size: 8 }, EVERY_S);
  return html`<${Shown} of=${searches}>${(/** @type {any} */ found) => html`<${Table}
    label=${t("overview.missed")}
    rows=${found.searches}
    rowKey=${(/** @type {any} */ row) => row.query}
    empty=${html`<${Nothing} icon="search" title=${t("overview.none-missed")} text=${t("overview.none-missed.text")} />`}
    columns=${[
      { title: t("search.query"), long: true, cell: (/** @type {any} */ row) => row.query },
      { title: t("search.searches"), kind: "number", cell: (/** @type {any} */ row) => number(row.searches) },
    ]}
  />`}<//>`;
}
