/** The panel beside the shop: what the last action changed, in milliseconds, and who shops. */

import { Icon, IconButton, Spinner } from "../common/components.js";
import { displayName, milliseconds, number, percent } from "../common/format.js";
import { t } from "../common/i18n.js";
import { useStore } from "../common/store.js";
import { html, useLayoutEffect, useRef } from "../common/view.js";
import { Picture, productLink, Reason } from "./cards.js";
import { actions, answer, changesOf, taste } from "./live.js";
import { config } from "./shop.js";
import { hasProfile, shopAs, shopper } from "./shopper.js";

/** @typedef {import("./live.js").Action} Action */
/** @typedef {import("./live.js").Change} Change */

const SHOWN_LIKINGS = 4;
const ICONS = { view: "right", add: "cart", remove: "minus", wish: "heart", order: "box", search: "search" };

/** @param {{onClose: () => void}} props */
export function Panel({ onClose }) {
  const list = useStore(actions);
  const [latest, ...earlier] = list;
  return html`<aside
    class="live"
    id="live"
    aria-label=${t("live.title")}
    onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && onClose()}
  >
    <header class="live-head">
      <h2><span class="pulse" aria-hidden="true"></span> ${t("live.title")}</h2>
      <${IconButton} icon="close" label=${t("live.close")} onClick=${onClose} />
    </header>
    <div class="live-body" tabindex="0" role="group" aria-label=${t("live.title")}>
      <${Who} />
      ${latest ? html`<${Latest} action=${latest} key=${latest.id} />` : html`<p class="muted">${t("live.nothing")}</p>`}
      <${Taste} before=${latest?.tasteBefore ?? []} />
      <${Answer} action=${list.find((action) => action.changes.length > 0)} />
      ${earlier.length
        ? html`<section class="stack" aria-labelledby="live-earlier">
            <h3 class="eyebrow" id="live-earlier">${t("live.earlier")}</h3>
            <ul class="live-earlier">
              ${earlier.map(
                (action) => html`<li key=${action.id}>
                  <${Icon} name=${ICONS[action.kind]} size="small" />
                  <span class="clip">${t(`live.did.${action.kind}`)} ${action.subject}</span>
                  <span class="figure muted">${timeOf(action)}</span>
                </li>`,
              )}
            </ul>
          </section>`
        : null}
    </div>
  </aside>`;
}

/** @param {Action} action */
function timeOf(action) {
  const ms = action.appliedMs ?? action.acceptedMs;
  return ms === null ? "–" : milliseconds(ms);
}

/** Who shops, and the customers of the loaded data to shop as. */
function Who() {
  const who = useStore(shopper);
  const names = { nobody: t("who.nobody"), guest: t("who.guest"), account: t("who.account"), customer: t("who.customer", { id: who.id ?? "" }) };
  const mayChoose = config.trust_shop_ids && config.shop_as.length > 0;
  return html`<div class="who">
    ${mayChoose
      ? html`<div class="field">
          <label for="shop-as">${t("who.label")}</label>
          <select
            id="shop-as"
            value=${who.kind === "customer" ? who.id : ""}
            onChange=${(/** @type {any} */ event) => shopAs(event.currentTarget.value || null)}
          >
            <option value="">${who.kind === "customer" ? t("who.myself") : names[who.kind]}</option>
            ${config.shop_as.map(
              (customer) => html`<option key=${customer.user_id} value=${customer.user_id}>
                ${t("who.option", { id: customer.user_id, n: customer.events })}
              </option>`,
            )}
          </select>
        </div>`
      : html`<p class="row"><${Icon} name="person" size="small" /> ${names[who.kind]}</p>`}
  </div>`;
}

/** @param {{action: Action}} props */
function Latest({ action }) {
  const { kind, subject, state, acceptedMs, appliedMs, answerMs, requestId } = action;
  const counts = kind !== "search";
  const isWaiting = state === "sending" || state === "applying";
  const fresh = action.changes.filter((change) => change.before === null).length;
  const moved = action.changes.filter((change) => change.before !== null && change.before !== change.after).length;
  return html`<section class="latest" aria-live="polite">
    <p class="latest-title"><span class="muted">${t(`live.did.${kind}`)}</span> <strong>${subject}</strong></p>
    <dl class=${counts ? "times" : "times times-one"}>
      <${Time} label=${t(counts ? "live.accepted" : "live.answered")} ms=${acceptedMs} isWaiting=${state === "sending"} />
      ${counts
        ? html`<${Time} label=${t("live.applied")} ms=${appliedMs} isWaiting=${isWaiting} isMain=${true} />
            <${Time} label=${t("live.answer")} ms=${answerMs} isWaiting=${isWaiting} />`
        : null}
    </dl>
    ${state === "done" && appliedMs !== null
      ? html`<p class="small muted">${fresh || moved ? t("live.changed", { fresh, moved }) : t("live.same")}</p>`
      : null}
    ${state === "unchanged" ? html`<p class="small muted">${t("live.unchanged")}</p>` : null}
    ${state === "failed" ? html`<p class="small">${t("live.failed")}</p>` : null}
    ${requestId ? html`<p class="note-id">${requestId}</p>` : null}
  </section>`;
}

/** @param {{label: string, ms: number | null, isWaiting: boolean, isMain?: boolean}} props */
function Time({ label, ms, isWaiting, isMain = false }) {
  return html`<div class=${isMain ? "time time-main" : "time"}>
    <dt>${label}</dt>
    <dd class="figure">${ms !== null ? milliseconds(ms) : isWaiting ? html`<${Spinner} />` : "–"}</dd>
  </div>`;
}

/** The shopper's recommendations, and how the action moved each. @param {{action: Action | undefined}} props */
function Answer({ action }) {
  const found = useStore(answer);
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  useMotion(list, found?.generated_at);
  if (!found) return null;
  const changes = new Map((action?.changes ?? []).map((change) => [change.product.id, change]));
  const rows = changesOf(found.recommendations, found.recommendations);
  return html`<section class="stack" aria-labelledby="live-answer">
    <div>
      <h3 class="eyebrow" id="live-answer">${t("live.recommended")}</h3>
      <p class="small muted">${t(`live.strategy.${found.strategy}`)}${found.algorithm
        ? html` · ${t("live.model", { algorithm: found.algorithm.toUpperCase(), version: number(found.model_version ?? 0) })}`
        : null}</p>
    </div>
    <ol class="ranking" ref=${list}>
      ${rows.map(
        ({ product, after }) => html`<li key=${product.id} data-key=${product.id}>
          <span class="figure muted rank">${after}</span>
          <${Picture} product=${product} />
          <div class="ranking-text">
            <a class="clip" href=${productLink(product)}>${displayName(product.name)}</a>
            <${Reason} product=${product} />
          </div>
          <${Movement} change=${changes.get(product.id)} />
        </li>`,
      )}
    </ol>
    ${action?.gone.length
      ? html`<p class="small muted">${t("live.gone")} ${action.gone.map((product) => displayName(product.name)).join(" · ")}</p>`
      : null}
  </section>`;
}

/** @param {{change: Change | undefined}} props */
function Movement({ change }) {
  if (!change) return null;
  const { before, after } = change;
  if (before === null) return html`<span class="tag tag-good">${t("live.new")}</span>`;
  if (before === after) return null;
  const places = Math.abs(before - after);
  const label = t(before > after ? "live.up" : "live.down", { n: places });
  return html`<span class=${before > after ? "move move-up figure" : "move figure"} title=${label}>
    <${Icon} name=${before > after ? "up" : "down"} size="small" label=${label} /><span aria-hidden="true">${places}</span>
  </span>`;
}

/** @param {{before: import("./live.js").Liking[]}} props */
function Taste({ before }) {
  const likings = useStore(taste);
  useStore(shopper);
  if (!hasProfile()) {
    return shopper.get().kind === "customer" ? html`<p class="small muted">${t("live.tasteHidden")}</p>` : null;
  }
  const known = new Map(before.map((liking) => [liking.key, liking.share]));
  const shown = [...(likings ?? [])].sort((a, b) => b.share - a.share).slice(0, SHOWN_LIKINGS);
  return html`<section class="stack" aria-labelledby="live-taste">
    <h3 class="eyebrow" id="live-taste">${t("live.taste")}</h3>
    ${shown.length === 0 ? html`<p class="small muted">${t("live.noTaste")}</p>` : null}
    <ul class="likings">
      ${shown.map(({ key, kind, name, share }) => {
        const change = share - (known.get(key) ?? 0);
        const isShown = before.length > 0 && Math.abs(change) >= 0.005;
        return html`<li key=${key}>
          <span class="clip">${name} <span class="small muted">${t(`live.kind.${kind}`)}</span></span>
          <span class="figure small liking-share">
            ${isShown ? html`<span class=${change > 0 ? "gain" : "muted"}>${change > 0 ? "+" : "−"}${number(Math.abs(change) * 100)}</span>` : null}
            <span>${percent(share)}</span>
          </span>
          <span class="bar" aria-hidden="true"><span style=${{ width: `${Math.max(1, share * 100)}%` }}></span></span>
        </li>`;
      })}
    </ul>
  </section>`;
}

/**
 * Moves the rows of a list from where they were to where they are, whenever `version` changes.
 *
 * @param {import("../common/view.js").Ref<HTMLElement | null>} list
 * @param {unknown} version
 */
function useMotion(list, version) {
  const places = useRef(/** @type {Map<string, number>} */ (new Map()));
  useLayoutEffect(() => {
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    /** @type {Map<string, number>} */
    const now = new Map();
    for (const row of /** @type {HTMLElement[]} */ ([...(list.current?.children ?? [])])) {
      const key = row.dataset.key ?? "";
      const top = row.offsetTop;
      const before = places.current.get(key);
      now.set(key, top);
      if (isStill || places.current.size === 0) continue;
      if (before === undefined) row.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 500 });
      else if (before !== top) {
        row.animate([{ transform: `translateY(${before - top}px)` }, { transform: "none" }], { duration: 450, easing: "ease-out" });
      }
    }
    places.current = now;
  }, [version]);
}
