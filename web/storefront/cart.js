/** The cart and the checkout. */

import { Problem, randomId } from "../common/api.js";
import { Empty, Icon, IconButton, Note, ProblemNote, problemText, SkeletonText, toast, useLoaded } from "../common/components.js";
import { displayName } from "../common/format.js";
import { t } from "../common/i18n.js";
import { go, link } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, useRef, useState } from "../common/view.js";
import { cart, readCart, setCart, setQuantity } from "./actions.js";
import { Picture, Price, ProductList, productLink } from "./cards.js";
import { act } from "./live.js";
import { MAX_QUANTITY, Stepper } from "./product.js";
import { api, price } from "./shop.js";
import { own, shopper } from "./shopper.js";
import { Title } from "./title.js";

/** @typedef {import("./actions.js").CartItem} CartItem */

/**
 * Reads the cart anew: its prices and stock may have changed.
 *
 * Until `isCurrent`, `found` is what the page knew before.
 */
function useCart() {
  const who = useStore(shopper);
  const found = useStore(cart);
  const { value, error, isStale, again } = useLoaded((signal) => readCart(signal), [who.id]);
  return { found, error, again, isCurrent: found !== null && value !== null && error === null && !isStale };
}

export function CartPage() {
  const { found, error, again } = useCart();
  const items = found?.items ?? [];
  return html`
    <${Title}>${t("cart.title")}<//>
    ${error && !found ? html`<${ProblemNote} error=${error} onRetry=${again} />` : null}
    ${!found && !error ? html`<div class="panel"><${SkeletonText} lines=${6} /></div>` : null}
    ${found && items.length === 0
      ? html`<${Empty} icon="cart" title=${t("cart.empty")} text=${t("cart.emptyText")}>
          <a class="button button-main" href=${link("/")}>${t("cart.browse")}</a>
        <//>`
      : null}
    ${found && items.length
      ? html`<div class="with-summary">
          <ul class="lines">
            ${items.map((item) => html`<${Line} key=${item.product.id} item=${item} />`)}
          </ul>
          <aside class="panel summary" aria-label=${t("cart.summary")}>
            <${Total} />
            <a class="button button-main button-wide" href=${link("/checkout")}>${t("cart.checkout")}</a>
          </aside>
        </div>`
      : null}
    ${items.length ? html`<${Together} items=${items} />` : null}
  `;
}

function Total() {
  const found = useStore(cart);
  return html`<dl class="total">
    <dt>${t("cart.items", { n: found?.item_count ?? 0 })}</dt>
    <dd class="figure">${price(found?.total ?? 0)}</dd>
  </dl>`;
}

/** @param {{item: CartItem}} props */
function Line({ item }) {
  const { product, quantity } = item;
  const [isChanging, setChanging] = useState(false);
  const name = displayName(product.name);
  const most = product.stock_counted ? Math.max(product.quantity, 1) : MAX_QUANTITY;
  /** @param {number} next */
  const change = async (next) => {
    setChanging(true);
    try {
      await setQuantity(item, next);
    } catch (error) {
      toast(problemText(error), { kind: "bad" });
    }
    setChanging(false);
  };
  return html`<li class="line">
    <${Picture} product=${product} />
    <div class="line-text">
      <a class="line-name" href=${productLink(product)}>${name}</a>
      ${product.variant_title ? html`<p class="small muted">${product.variant_title}</p>` : null}
      <p class="small muted"><${Price} product=${product} /></p>
      ${item.changes.map((kind) => html`<p class="small changed" key=${kind}>
        ${t(`cart.change.${kind}`, { price: price(item.price_when_added, product.currency), n: product.quantity })}
      </p>`)}
    </div>
    <${Stepper} value=${quantity} most=${Math.min(most, MAX_QUANTITY)} name=${name} disabled=${isChanging} onChange=${change} />
    <p class="line-total figure">${price(item.line_total, product.currency)}</p>
    <${IconButton} icon="trash" label=${t("cart.remove", { name })} disabled=${isChanging} onClick=${() => change(0)} />
  </li>`;
}

/** @param {{items: CartItem[]}} props */
function Together({ items }) {
  const ids = items.slice(0, 20).map((item) => item.product.id).join(",");
  const loaded = useLoaded(
    async (signal) =>
      (await api.get("/frequently-bought-together", { ...own(), product_id: ids, k: 12, explain: true }, { signal })).body,
    [ids],
  );
  return html`<${ProductList}
    title=${t("cart.together")}
    id="together"
    loaded=${{ ...loaded, value: loaded.value?.products ?? null }}
    recommendationId=${loaded.value?.recommendation_id}
  />`;
}

/** How the built-in test provider answers, by the token it is sent. @type {[string, string][]} */
const PAYMENTS = [["", "pay.approve"], ["decline", "pay.decline"], ["time-out", "pay.timeOut"]];

export function CheckoutPage() {
  const { found, error, again, isCurrent } = useCart();
  const [token, setToken] = useState("");
  const [isPaying, setPaying] = useState(false);
  const [problem, setProblem] = useState(/** @type {unknown} */ (null));
  // the same until the order is placed or something changes: a repeated request then buys once
  const attempt = useRef({ key: randomId(), of: "" });
  const items = found?.items ?? [];

  /** @param {Event} event */
  const buy = async (event) => {
    event.preventDefault();
    if (!found || !isCurrent) return;
    setPaying(true);
    setProblem(null);
    const body = { expected_total: found.total, payment_token: token || undefined };
    const of = JSON.stringify([body, items.map((item) => [item.product.id, item.quantity])]);
    if (attempt.current.of !== of) attempt.current = { key: randomId(), of };
    try {
      const order = await act("order", t("order.items", { n: found.item_count }), () =>
        api.request("POST", "/cart/checkout", { query: own(), body, idempotencyKey: attempt.current.key }),
      );
      setCart({ items: [], total: 0, item_count: 0 });
      go(link(`/orders/${order.body.id}`, { new: 1 }));
    } catch (failure) {
      setProblem(failure);
      // a refusal is final for its key; without an answer, the same key finds out what became of it
      if (failure instanceof Problem && !failure.isPassing) attempt.current = { key: randomId(), of: "" };
      if (failure instanceof Problem && failure.status === 409) again();
    }
    setPaying(false);
  };

  if (found && items.length === 0 && !isPaying) {
    return html`<${Title}>${t("checkout.title")}<//>
      <${Empty} icon="cart" title=${t("cart.empty")} text=${t("cart.emptyText")}>
        <a class="button button-main" href=${link("/")}>${t("cart.browse")}</a>
      <//>`;
  }
  return html`
    <${Title}>${t("checkout.title")}<//>
    ${error ? html`<${ProblemNote} error=${error} onRetry=${again} />` : null}
    <form class="with-summary" onSubmit=${buy}>
      <div class="stack">
        ${problem ? html`<${CheckoutProblem} problem=${problem} />` : null}
        <section class="panel stack" aria-labelledby="payment">
          <h2 id="payment">${t("checkout.payment")}</h2>
          <${Note}>${t("checkout.paymentNote")}<//>
          <fieldset class="choices">
            <legend class="visually-hidden">${t("checkout.payment")}</legend>
            ${PAYMENTS.map(
              ([value, key]) => html`<label class="choice" key=${value}>
                <input type="radio" name="payment" value=${value} checked=${token === value} onChange=${() => setToken(value)} />
                <span>${t(key)}</span>
              </label>`,
            )}
          </fieldset>
        </section>
      </div>
      <aside class="panel summary" aria-label=${t("cart.summary")}>
        ${found
          ? html`<ul class="summary-lines">
              ${items.map(
                (item) => html`<li key=${item.product.id}>
                  <${Picture} product=${item.product} />
                  <span>${displayName(item.product.name)} <span class="muted figure">× ${item.quantity}</span></span>
                  <span class="figure">${price(item.line_total, item.product.currency)}</span>
                </li>`,
              )}
            </ul>`
          : html`<${SkeletonText} lines=${4} />`}
        <${Total} />
        ${/* the total must not change under the shopper's finger */ null}
        <button type="submit" class="button button-main button-wide" disabled=${!isCurrent || isPaying}>
          ${isPaying ? t("checkout.paying") : t("checkout.buy", { price: price(found?.total ?? 0) })}
        </button>
        <a class="small" href=${link("/cart")}>${t("checkout.back")}</a>
      </aside>
    </form>
  `;
}

/** @param {{problem: unknown}} props */
function CheckoutProblem({ problem }) {
  const lines = problem instanceof Problem && Array.isArray(problem.body.lines) ? problem.body.lines : [];
  return html`<${ProblemNote} error=${problem}>
    ${lines.length
      ? html`<ul>
          ${lines.map((/** @type {any} */ line) => html`<li key=${line.product_id}>
            ${displayName(line.name)}: ${t("checkout.available", { requested: line.requested, n: line.available })}
          </li>`)}
        </ul>`
      : null}
    <a class="button button-small" href=${link("/cart")}><${Icon} name="cart" size="small" /> ${t("cart.open")}</a>
  <//>`;
}
