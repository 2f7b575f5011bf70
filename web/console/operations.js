/** Whether the system works: checks, jobs, events that could not be processed, and what to do about them. */

import { Segmented } from "../common/components.js";
import { t } from "../common/i18n.js";
import { ago, milliseconds, number, percent } from "../common/format.js";
import { html, useState } from "../common/view.js";
import { Card, ConfirmButton, Json, Metric, Nothing, PageHead, Pages, Shown, State, Table, Tabs, usePolled, useAction, when, WriteButton } from "./parts.js";
import { api, shop } from "./session.js";
import { Chart, ShareBar } from "./charts.js";

const LIVE_S = 5;
const SLOW_S = 30;

/** @param {{parts: string[]}} props */
export function Operations({ parts }) {
  const tab = parts[0] ?? "live";
  const views = { live: Live, health: Health, jobs: Jobs, "dead-letters": DeadLetters, rejected: Rejected };
  const View = Object.hasOwn(views, tab) ? views[/** @type {keyof typeof views} */ (tab)] : Live;
  return html`
    <${PageHead} title=${t("operations.title")} text=${t("operations.text")} />
    <${Tabs} label=${t("operations.title")} current=${`/operations/${tab}`} tabs=${[
      ["/operations/live", t("operations.live")],
      ["/operations/health", t("operations.health")],
      ["/operations/jobs", t("operations.jobs")],
      ["/operations/dead-letters", t("operations.dead")],
      ["/operations/rejected", t("operations.rejected")],
    ]} />
    <${View} />
  `;
}

/** An age from which on a queue is late: events take effect within seconds. */
const LATE_S = 60;
/** Routes that are shown at once. */
const ROUTES = 15;

function Live() {
  const figures = usePolled("/admin/operations", {}, LIVE_S);
  return html`<${Shown} of=${figures} lines=${14}>${(/** @type {any} */ found) => {
    /** @type {Map<string, string>} */
    const reasons = new Map(found.unavailable.map((/** @type {any} */ one) => [one.figure, one.reason]));
    return html`<div class="cards">
      <${Card} title=${t("live.traffic")} text=${t("live.traffic.text")} wide>
        ${found.traffic === null ? html`<${Unavailable} reason=${reasons.get("traffic")} />` : html`<${Traffic} minutes=${found.traffic} />`}
      <//>
      <${Card} title=${t("live.queues")} text=${t("live.queues.text")} wide>
        ${found.queues === null ? html`<${Unavailable} reason=${reasons.get("queues")} />` : html`<${Queues} queues=${found.queues} />`}
      <//>
      <${Routes} routes=${found.routes} reason=${reasons.get("routes")} cacheReason=${reasons.get("cache")} />
    </div>`;
  }}<//>`;
}

/** @param {{reason: string | undefined}} props */
function Unavailable({ reason }) {
  return html`<${Nothing} icon="box" title=${t("live.unavailable")} text=${reason ?? ""} />`;
}

/** @param {{minutes: any[]}} props */
function Traffic({ minutes }) {
  /** @param {string} name */
  const sum = (name) => minutes.reduce((total, minute) => total + minute[name], 0);
  const last = minutes[minutes.length - 1];
  const [accepted, applied] = [sum("accepted"), sum("applied")];
  return html`
    <dl class="metrics metrics-plain">
      <${Metric} label=${t("live.last-minute")} value=${number(last.accepted)} note=${t("live.applied-of", { n: last.applied })} />
      <${Metric} label=${t("live.last-hour")} value=${number(accepted)} note=${t("live.applied-of", { n: applied })} />
    </dl>
    <${Chart} title=${t("live.traffic")} unit=${t("live.traffic.unit")} zone=${shop.get().time_zone} isTimes xLabel=${t("live.minute")}
      x=${minutes.map((minute) => Date.parse(minute.start) / 1000)} format=${(/** @type {number} */ value) => number(value, value % 1 === 0 ? 0 : 1)}
      series=${[
        { label: t("live.accepted"), colour: "soft", values: minutes.map((minute) => minute.accepted) },
        { label: t("live.applied"), colour: "accent", values: minutes.map((minute) => minute.applied) },
      ]} />`;
}

/** @param {{queues: any[]}} props */
function Queues({ queues }) {
  return html`<${Table} label=${t("live.queues")} rows=${queues} rowKey=${(/** @type {any} */ row) => row.subscription}
    empty=${html`<p class="muted">${t("live.no-queues")}</p>`}
    columns=${[
      { title: t("live.subscription"), cell: (/** @type {any} */ row) => html`<code>${row.subscription}</code>` },
      { title: t("live.waiting"), kind: "number", cell: (/** @type {any} */ row) => number(row.waiting) },
      { title: t("live.oldest"), kind: "number", cell: (/** @type {any} */ row) => (row.oldest_age_s === null ? "–" : milliseconds(row.oldest_age_s * 1000)) },
      { title: t("operations.verdict"), cell: (/** @type {any} */ row) => (row.oldest_age_s === null || row.oldest_age_s < LATE_S
        ? html`<${State} state="well" text=${t(row.waiting === 0 ? "live.idle" : "live.flows")} />`
        : html`<${State} state="warning" text=${t("live.late")} />`) },
    ]} />`;
}

const ORDERS = {
  requests: (/** @type {any} */ route) => route.requests,
  p95: (/** @type {any} */ route) => route.p95_ms ?? 0,
  errors: (/** @type {any} */ route) => route.error_share,
};

/** @param {{routes: any[] | null, reason: string | undefined, cacheReason: string | undefined}} props */
function Routes({ routes, reason, cacheReason }) {
  const [order, setOrder] = useState("requests");
  const [isAll, setAll] = useState(false);
  const by = ORDERS[/** @type {keyof typeof ORDERS} */ (order)];
  const listed = [...(routes ?? [])].sort((left, right) => by(right) - by(left) || right.requests - left.requests);
  return html`<${Card} title=${t("live.routes")} text=${t("live.routes.text")} wide
      tools=${html`<${Segmented} name="order" label=${t("live.order")} value=${order} values=${Object.keys(ORDERS).map((one) => [one, t(`live.order.${one}`)])} onChange=${setOrder} />`}>
    ${routes === null
      ? html`<${Unavailable} reason=${reason} />`
      : html`${cacheReason ? html`<p class="small muted">${t("live.no-cache")} ${cacheReason}</p>` : null}
        <${Table} label=${t("live.routes")} rows=${isAll ? listed : listed.slice(0, ROUTES)} rowKey=${(/** @type {any} */ row) => `${row.function} ${row.route}`}
          empty=${html`<p class="muted">${t("live.no-routes")}</p>`}
          columns=${[
            { title: t("live.route"), long: true, cell: (/** @type {any} */ row) => html`<code>${row.route ?? row.function}</code>${row.route ? html`<div class="small muted">${row.function}</div>` : null}` },
            { title: t("live.requests"), kind: "number", cell: (/** @type {any} */ row) => number(row.requests) },
            { title: t("live.p50"), kind: "number", cell: (/** @type {any} */ row) => (row.p50_ms === null ? "–" : milliseconds(row.p50_ms)) },
            { title: t("live.p95"), kind: "number", cell: (/** @type {any} */ row) => (row.p95_ms === null ? "–" : milliseconds(row.p95_ms)) },
            { title: t("live.errors"), kind: "number", cell: (/** @type {any} */ row) => html`<span class=${row.failed > 0 ? "is-bad" : "muted"} title=${t("live.failed", { n: row.failed })}>${percent(row.error_share, 1)}</span>` },
            { title: t("live.hits"), kind: "number", cell: (/** @type {any} */ row) => (row.cache_hit_rate === null ? "–" : html`<span class="share-cell"><${ShareBar} share=${row.cache_hit_rate} label=${percent(row.cache_hit_rate, 0)} /> ${percent(row.cache_hit_rate, 0)}</span>`) },
          ]} />
        ${listed.length > ROUTES && !isAll ? html`<div class="row pages"><button type="button" class="button button-small" onClick=${() => setAll(true)}>${t("live.more-routes", { n: listed.length - ROUTES })}</button></div>` : null}`}
  <//>`;
}

function Health() {
  const doctor = usePolled("/admin/doctor", {}, SLOW_S);
  const dashboard = usePolled("/admin/dashboard", {}, LIVE_S);
  return html`<div class="cards">
    <${Card} title=${t("operations.now")} text=${t("operations.now.text")} wide>
      <${Shown} of=${dashboard}>${(/** @type {any} */ found) => html`<${Now} dashboard=${found} />`}<//>
    <//>
    <${Card} title=${t("operations.checks")} wide tools=${html`<button type="button" class="button button-small" onClick=${doctor.again}>${t("operations.check-again")}</button>`}>
      <${Shown} of=${doctor} lines=${9}>${(/** @type {any} */ found) => html`<${Table}
        label=${t("operations.checks")}
        rows=${found.findings}
        rowKey=${(/** @type {any} */ row) => row.check}
        columns=${[
          { title: t("operations.check"), cell: (/** @type {any} */ row) => row.check },
          { title: t("operations.verdict"), cell: (/** @type {any} */ row) => html`<${State} state=${row.verdict} />` },
          { title: t("operations.detail"), long: true, cell: (/** @type {any} */ row) => row.detail },
        ]}
      />`}<//>
    <//>
  </div>`;
}

/** @param {{dashboard: any}} props */
function Now({ dashboard }) {
  const { cache } = dashboard.api_stats;
  const model = dashboard.active_model;
  /** @type {Map<string, number>} */
  const byDay = new Map();
  for (const day of dashboard.events_by_day) byDay.set(day.date, (byDay.get(day.date) ?? 0) + day.event_count);
  return html`
    <dl class="metrics metrics-plain">
      <${Metric} label=${t("operations.events")} value=${number(dashboard.total_events)} />
      <${Metric} label=${t("operations.hit-rate")} value=${cache?.hit_rate == null ? "–" : percent(cache.hit_rate, 1)} note=${cache ? t("operations.commands", { n: cache.commands_per_second }) : t("operations.no-redis")} kind=${cache ? "" : "bad"} />
      <${Metric} label=${t("operations.unsent")} value=${number(dashboard.unsent_messages)} note=${t("operations.unsent.note")} kind=${dashboard.unsent_messages > 0 ? "bad" : "good"} />
      <${Metric} label=${t("operations.rejected")} value=${number(dashboard.rejected_events)} />
      <${Metric} label=${t("operations.model")} value=${model ? t("model.version", { version: model.version }) : "–"} note=${model ? `${model.algorithm}, ${ago(model.published_at)}` : t("operations.no-model")} />
    </dl>
    ${byDay.size > 0
      ? html`<${Chart} title=${t("operations.events-by-day")} unit=${t("operations.events.unit")} zone=${shop.get().time_zone}
          x=${[...byDay.keys()]} format=${(/** @type {number} */ value) => number(value)}
          series=${[{ label: t("operations.events"), colour: "accent", values: [...byDay.values()] }]} />`
      : null}
  `;
}

function Jobs() {
  const jobs = usePolled("/admin/jobs", { runs: 5 }, LIVE_S);
  return html`<${Card} title=${t("operations.jobs")} text=${t("operations.jobs.text", { zone: "UTC" })}>
    <${Shown} of=${jobs} lines=${12}>${(/** @type {any} */ found) => html`<${Table}
      label=${t("operations.jobs")}
      rows=${found.jobs}
      rowKey=${(/** @type {any} */ row) => row.name}
      columns=${[
        { title: t("job.name"), cell: (/** @type {any} */ row) => html`<strong>${row.name}</strong><div class="small muted">${row.schedule ? html`<code>${row.schedule}</code>` : t("job.on-demand")}</div>` },
        { title: t("job.last"), cell: (/** @type {any} */ row) => html`<${LastRun} run=${row.runs[0]} />` },
        { title: t("job.duration"), kind: "number", cell: (/** @type {any} */ row) => duration(row.runs[0]) },
        { title: t("job.runs"), cell: (/** @type {any} */ row) => html`<span class="runs">${row.runs.map((/** @type {any} */ run) => html`<span key=${run.id} class=${`run run-${run.outcome}`} title=${`${when(run.started_at)}: ${t(`state.${run.outcome}`)}`}><span class="visually-hidden">${t(`state.${run.outcome}`)}</span></span>`)}</span>` },
        { title: t("common.actions"), kind: "actions", cell: (/** @type {any} */ row) => html`<${RunButton} job=${row.name} again=${jobs.again} />` },
      ]}
    />`}<//>
  <//>`;
}

/** @param {any} run */
function duration(run) {
  if (!run) return "–";
  if (!run.ended_at) return t("state.running");
  return milliseconds(new Date(run.ended_at).getTime() - new Date(run.started_at).getTime());
}

/** @param {{run: any}} props */
function LastRun({ run }) {
  if (!run) return html`<span class="muted">${t("job.never")}</span>`;
  return html`<div><${State} state=${run.outcome} /> <span class="small muted" title=${when(run.started_at)}>${ago(run.started_at)}</span></div>
    ${Object.keys(run.details).length > 0 ? html`<${Json} value=${run.details} label=${run.outcome === "failed" ? t("job.error") : t("job.result")} />` : null}`;
}

/** @param {{job: string, again: () => void}} props */
function RunButton({ job, again }) {
  const [run, isBusy] = useAction(async () => {
    const answer = (await api.post(`/admin/jobs/${encodeURIComponent(job)}/run`, {})).body;
    again();
    return t(answer?.status === "running" ? "job.started" : "job.done", { job });
  });
  return html`<${WriteButton} label=${isBusy ? t("job.running") : t("job.run")} disabled=${isBusy} onClick=${() => run()} />`;
}

function DeadLetters() {
  const letters = usePolled("/admin/dead-letters", { limit: 100 }, SLOW_S);
  return html`<${Card} title=${t("operations.dead")} text=${t("operations.dead.text")} tools=${html`<button type="button" class="button button-small" onClick=${letters.again}>${t("common.refresh")}</button>`}>
    <${Shown} of=${letters}>${(/** @type {any} */ found) => html`<${Table}
      label=${t("operations.dead")}
      rows=${found.dead_letters}
      rowKey=${(/** @type {any} */ row) => row.message_id}
      empty=${html`<${Nothing} icon="check" title=${t("operations.no-dead")} text=${t("operations.no-dead.text")} />`}
      columns=${[
        { title: t("dead.message"), cell: (/** @type {any} */ row) => html`<code>${row.message_id}</code><div class="small muted">${row.topic}${row.subscription ? ` → ${row.subscription}` : ""}</div>` },
        { title: t("dead.published"), cell: (/** @type {any} */ row) => when(row.published_at) },
        { title: t("dead.attempts"), kind: "number", cell: (/** @type {any} */ row) => row.attempts ?? "–" },
        { title: t("dead.fault"), long: true, cell: (/** @type {any} */ row) => html`${row.permanent_fault ?? (row.replayed_at ? t("dead.replayed", { when: when(row.replayed_at) }) : "–")}<${Json} value=${{ attributes: row.attributes, data: row.data }} label=${t("dead.content")} />` },
        { title: t("common.actions"), kind: "actions", cell: (/** @type {any} */ row) => html`<${ConfirmButton}
            label=${t("dead.replay")} title=${t("dead.replay.title")} text=${t("dead.replay.text", { id: row.message_id })}
            action=${async () => {
              const answer = (await api.post("/admin/dead-letters/replay", { topic: row.topic, limit: 1000, message_ids: [row.message_id] })).body;
              letters.again();
              return t("dead.done", { n: answer.replayed.length });
            }} />` },
      ]}
    />`}<//>
  <//>`;
}

function Rejected() {
  const [page, setPage] = useState(1);
  const entries = usePolled("/admin/rejected-events", { page, page_size: 50 }, SLOW_S);
  return html`<${Shown} of=${entries} lines=${10}>${(/** @type {any} */ found) => {
    /** @type {Map<string, number>} */
    const reasons = new Map();
    for (const entry of found.entries) {
      const kind = reasonKind(entry.reason);
      reasons.set(kind, (reasons.get(kind) ?? 0) + 1);
    }
    const listed = [...reasons].sort((left, right) => right[1] - left[1]);
    return html`<div class="cards">
      <${Card} title=${t("rejected.reasons")} text=${t("rejected.reasons.text", { n: found.entries.length })} wide>
        <${Table} label=${t("rejected.reasons")} rows=${listed} rowKey=${(/** @type {any} */ row) => row[0]}
          empty=${html`<${Nothing} icon="check" title=${t("rejected.none")} text=${t("rejected.none.text")} />`}
          columns=${[
            { title: t("rejected.reason"), long: true, cell: (/** @type {any} */ row) => row[0] },
            { title: t("rejected.events"), kind: "number", cell: (/** @type {any} */ row) => number(row[1]) },
          ]} />
      <//>
      ${found.entries.length > 0
        ? html`<${Card} title=${t("operations.rejected")} text=${t("operations.rejected.text", { n: found.total })} wide>
            <${Table} label=${t("operations.rejected")} rows=${found.entries} rowKey=${(/** @type {any} */ row) => row.id}
              columns=${[
                { title: t("rejected.when"), cell: (/** @type {any} */ row) => when(row.rejected_at) },
                { title: t("rejected.reason"), long: true, cell: (/** @type {any} */ row) => row.reason },
                { title: t("rejected.event"), long: true, cell: (/** @type {any} */ row) => html`<${Json} value=${row.event} label=${t("rejected.show")} />` },
              ]} />
            <${Pages} page=${found.page} of=${found.total_pages} onPage=${setPage} />
          <//>`
        : null}
    </div>`;
  }}<//>`;
}

/** Returns a reason without the values of one event, so that alike reasons count together. @param {string} reason */
function reasonKind(reason) {
  return reason.replace(/'[^']*'|"[^"]*"|\b[0-9a-f-]{36}\b|\d+/gi, "…").slice(0, 160);
}
