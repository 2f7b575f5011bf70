/** The shopper's orders, and one of them. */

import { Empty, Note, ProblemNote, problemText, SkeletonText, toast, useLoaded } from "../common/components.js";
import { date, dateTime, displayName } from "../common/format.js";
import { t } from "../common/i18n.js";
import { link } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, useState } from "../common/view.js";
import { Picture } from "./cards.js";
import { api, config, price } from "./shop.js";
import { own, shopper } from "./shopper.js";
import { Title } from "./title.js";

/**
 * @typedef {object} Order
 * @property {string} id
 * @property {"placed" | "paid" | "shipped" | "cancelled" | "refunded"} state
 * @property {{product_id: number, name: string, variant_title: string | null, quantity: number, price: number, line_total: number}[]} items
 * @property {number} total
 * @property {number} item_count
 * @property {{state: string, at: string, reason: string | null}[]} history
 * @property {string} created_at
 */

/** @param {{state: Order["state"]}} props */
function State({ state }) {
  const look = { placed: "", paid: "tag-good", shipped: "tag-good", cancelled: "tag-bad", refunded: "tag-warm" }[state];
  return html`<span class=${`tag ${look ?? ""}`}>${t(`order.state.${state}`)}</span>`;
}

export function OrdersPage() {
  const who = useStore(shopper);
  const loaded = useLoaded(
    async (signal) => {
      if (who.id === null) return [];
      return (await api.get("/orders", { ...own(), page_size: 50 }, { signal })).body.orders;
    },
    [who.id],
  );
  const orders = /** @type {Order[] | null} */ (loaded.value);
  return html`
    <${Title}>${t("orders.title")}<//>
    ${loaded.error ? html`<${ProblemNote} error=${loaded.error} onRetry=${loaded.again} />` : null}
    ${!orders && !loaded.error ? html`<div class="panel"><${SkeletonText} lines=${5} /></div>` : null}
    ${orders?.length === 0
      ? html`<${Empty} icon="box" title=${t("orders.empty")} text=${t("orders.emptyText")}>
          <a class="button button-main" href=${link("/")}>${t("cart.browse")}</a>
        <//>`
      : null}
    <ul class="stack plain">
      ${(orders ?? []).map(
        (order) => html`<li key=${order.id}>
          <a class="panel order-row" href=${link(`/orders/${order.id}`)}>
            <span class="order-pictures">
              ${order.items.slice(0, 4).map((item) => html`<${Picture} key=${item.product_id} product=${{ id: item.product_id }} />`)}
            </span>
            <span class="order-text">
              <strong>${t("order.items", { n: order.item_count })}</strong>
              <span class="small muted">${date(order.created_at, config.time_zone)}</span>
            </span>
            <${State} state=${order.state} />
            <span class="figure order-total">${price(order.total)}</span>
          </a>
        </li>`,
      )}
    </ul>
  `;
}

/** @param {{id: string, isNew: boolean}} props */
export function OrderPage({ id, isNew }) {
  const who = useStore(shopper);
  const [isCancelling, setCancelling] = useState(false);
  const loaded = useLoaded(
    async (signal) => /** @type {Order} */ ((await api.get(`/orders/${id}`, own(), { signal })).body),
    [id, who.id],
  );
  // of another shopper by now: "shop as" was changed
  const order = loaded.error ? null : loaded.value;
  const cancel = async () => {
    setCancelling(true);
    try {
      await api.request("POST", `/orders/${id}/cancel`, { query: own() });
      toast(t("order.cancelled"));
      loaded.again();
    } catch (error) {
      toast(problemText(error), { kind: "bad" });
    }
    setCancelling(false);
  };
  if (loaded.error && !order) {
    return html`<${Title}>${t("order.title")}<//>
      <${ProblemNote} error=${loaded.error} onRetry=${loaded.again}>
        <a class="button button-small" href=${link("/orders")}>${t("orders.title")}</a>
      <//>`;
  }
  const mayCancel = order?.state === "placed" || order?.state === "paid";
  return html`
    <${Title}>${isNew ? t("order.thanks") : t("order.title")}<//>
    ${isNew ? html`<${Note} kind="good">${t("order.thanksText")}<//>` : null}
    ${!order
      ? html`<div class="panel"><${SkeletonText} lines=${6} /></div>`
      : html`<div class="with-summary">
          <ul class="lines">
            ${order.items.map(
              (item) => html`<li class="line" key=${item.product_id}>
                <${Picture} product=${{ id: item.product_id }} />
                <div class="line-text">
                  <a class="line-name" href=${link(`/product/${item.product_id}`)}>${displayName(item.name)}</a>
                  ${item.variant_title ? html`<p class="small muted">${item.variant_title}</p>` : null}
                  <p class="small muted figure">${item.quantity} × ${price(item.price)}</p>
                </div>
                <p class="line-total figure">${price(item.line_total)}</p>
              </li>`,
            )}
          </ul>
          <aside class="panel summary" aria-label=${t("cart.summary")}>
            <p><${State} state=${order.state} /></p>
            <dl class="total">
              <dt>${t("order.items", { n: order.item_count })}</dt>
              <dd class="figure">${price(order.total)}</dd>
            </dl>
            <ol class="history small">
              ${order.history.map(
                (entry) => html`<li key=${entry.state}>
                  ${t(`order.state.${entry.state}`)}
                  <span class="muted">${dateTime(entry.at, undefined, config.time_zone)}</span>
                  ${entry.reason ? html`<span class="muted">${entry.reason}</span>` : null}
                </li>`,
              )}
            </ol>
            <p class="note-id">${order.id}</p>
            ${mayCancel
              ? html`<button type="button" class="button button-small" disabled=${isCancelling} onClick=${cancel}>
                  ${t("order.cancel")}
                </button>`
              : null}
            <a class="button button-small" href=${link("/")}>${t("cart.browse")}</a>
          </aside>
        </div>`}
  `;
}
