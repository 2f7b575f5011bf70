/** One product: what it is, its variants, and what goes with it. */

import { Empty, Icon, IconButton, ProblemNote, SkeletonText, useLoaded } from "../common/components.js";
import { Problem } from "../common/api.js";
import { displayName, number } from "../common/format.js";
import { t } from "../common/i18n.js";
import { link } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, useEffect, useState } from "../common/view.js";
import { addToCart, view } from "./actions.js";
import { Picture, Price, ProductList, productLink, WishButton } from "./cards.js";
import { actions } from "./live.js";
import { api } from "./shop.js";
import { own, shopper } from "./shopper.js";
import { Title } from "./title.js";

/** @typedef {import("./shop.js").Product} Product */

/** From so few pieces on, a product says how many are left. */
const FEW = 10;
export const MAX_QUANTITY = 999;

/** @param {{id: string}} props */
export function ProductPage({ id }) {
  const loaded = useLoaded(
    async (signal) => /** @type {Product} */ ((await api.get(`/products/${id}`, {}, { signal, anonymous: true })).body),
    [id],
  );
  const product = loaded.value?.id === Number(id) ? loaded.value : null;
  useEffect(() => {
    if (product) void view(product);
  }, [product?.id]);
  if (loaded.error && !product) {
    const isGone = loaded.error instanceof Problem && [404, 422].includes(loaded.error.status);
    return isGone
      ? html`<${Empty} icon="search" title=${t("product.gone")} text=${t("product.goneText")}>
          <a class="button button-main" href=${link("/")}>${t("nav.home")}</a>
        <//>`
      : html`<${ProblemNote} error=${loaded.error} onRetry=${loaded.again}>
          <a class="button button-small" href=${link("/")}>${t("nav.home")}</a>
        <//>`;
  }
  return html`
    ${product ? html`<${Details} product=${product} key=${product.id} />` : html`<${SkeletonDetails} />`}
    <${Related}
      key=${`together ${id}`}
      id="together"
      title=${t("product.together")}
      hint=${t("product.togetherHint")}
      path="/frequently-bought-together"
      field="products"
      productId=${id}
    />
    <${Related} key=${`similar ${id}`} id="similar" title=${t("product.similar")} path="/similar-products" field="similar_products" productId=${id} />
    <${ForYou} key=${`you ${id}`} productId=${id} />
  `;
}

function SkeletonDetails() {
  return html`<div class="product" aria-hidden="true">
    <div class="product-picture"><span class="picture skeleton"></span></div>
    <div class="stack"><span class="skeleton title-skeleton"></span><${SkeletonText} lines=${5} /></div>
  </div>`;
}

/** @param {{product: Product}} props */
function Details({ product }) {
  const [quantity, setQuantity] = useState(1);
  const [isAdding, setAdding] = useState(false);
  const isSoldOut = product.quantity <= 0;
  const most = product.stock_counted ? Math.min(product.quantity, MAX_QUANTITY) : MAX_QUANTITY;
  const name = displayName(product.name);
  const categories = (product.category_path ?? "").split(" > ").filter(Boolean);
  const add = async () => {
    setAdding(true);
    await addToCart(product, quantity);
    setAdding(false);
  };
  return html`<article class="product">
    <div class="product-picture"><${Picture} product=${product} eager=${true} /></div>
    <div class="product-text">
      ${categories.length
        ? html`<nav class="crumbs small" aria-label=${t("product.path")}>
            <a href=${link("/")}>${t("nav.home")}</a>
            ${categories.map((category, index) => html`<span aria-hidden="true">/</span>
              <a href=${link("/search", { category: categories.slice(0, index + 1).join(" > ") })}>${category}</a>`)}
          </nav>`
        : null}
      <${Title}>${name}<//>
      ${product.variant_title ? html`<p class="muted">${product.variant_title}</p>` : null}
      ${product.brand ? html`<p class="muted">${t("product.by", { brand: product.brand })}</p>` : null}
      ${product.average_rating !== null ? html`<${Rating} product=${product} />` : null}
      <p class="product-price"><${Price} product=${product} /></p>
      <p><${Stock} product=${product} /></p>
      <${Variants} product=${product} />
      <div class="buy">
        <${Stepper} value=${quantity} most=${most} name=${name} disabled=${isSoldOut} onChange=${setQuantity} />
        <button type="button" class="button button-main" disabled=${isSoldOut || isAdding} onClick=${add}>
          <${Icon} name="cart" /> ${isSoldOut ? t("product.soldOut") : t("cart.add")}
        </button>
        <${WishButton} product=${product} />
      </div>
      ${product.description ? html`<p class="description">${product.description}</p>` : null}
      ${product.tags.length
        ? html`<ul class="chips" aria-label=${t("search.tags")}>
            ${product.tags.map((tag) => html`<li key=${tag}><a class="chip" href=${link("/search", { tag: [tag] })}>${tag}</a></li>`)}
          </ul>`
        : null}
      <p class="small muted">${t("product.code", { id: product.external_id })}</p>
    </div>
  </article>`;
}

/** @param {{product: Product}} props */
function Rating({ product }) {
  const rating = product.average_rating ?? 0;
  return html`<p class="small">
    <span class="stars" aria-hidden="true">${"★".repeat(Math.round(rating))}${"☆".repeat(5 - Math.round(rating))}</span>
    ${t("product.rating", { rating: number(rating, 1) })}
    ${product.review_count === null ? null : html` · ${t("product.reviews", { n: product.review_count })}`}
  </p>`;
}

/** @param {{product: Product}} props */
function Stock({ product }) {
  const { quantity, stock_counted: isCounted } = product;
  if (quantity <= 0) return html`<span class="tag tag-bad">${t("product.soldOut")}</span>`;
  if (isCounted && quantity <= FEW) return html`<span class="tag tag-warm">${t("product.few", { n: quantity })}</span>`;
  return html`<span class="tag tag-good">${t("product.inStock")}</span>`;
}

/**
 * @param {{value: number, most: number, name: string, disabled?: boolean, least?: number, onChange: (value: number) => void}} props
 */
export function Stepper({ value, most, name, disabled = false, least = 1, onChange }) {
  return html`<div class="stepper" role="group" aria-label=${t("cart.quantityOf", { name })}>
    <${IconButton} icon="minus" label=${t("cart.less", { name })} disabled=${disabled || value <= least} onClick=${() => onChange(value - 1)} />
    <output class="figure" aria-live="polite">${value}</output>
    <${IconButton} icon="plus" label=${t("cart.more", { name })} disabled=${disabled || value >= most} onClick=${() => onChange(value + 1)} />
  </div>`;
}

/** The other products of the same group. The API finds them by their common name. @param {{product: Product}} props */
function Variants({ product }) {
  const group = product.item_group_id;
  const loaded = useLoaded(
    async (signal) => {
      if (group === null) return [];
      const query = { search: product.name, variants: "all", page_size: 50 };
      const found = (await api.get("/products", query, { signal, anonymous: true })).body.products;
      return found.filter((/** @type {Product} */ other) => other.item_group_id === group);
    },
    [product.id],
  );
  const variants = /** @type {Product[]} */ (loaded.value ?? []);
  if (variants.length < 2) return null;
  return html`<nav aria-label=${t("product.variants")}>
    <h2 class="eyebrow">${t("product.variants")}</h2>
    <ul class="chips">
      ${variants.map(
        (variant) => html`<li key=${variant.id}>
          <a
            class=${`chip ${variant.id === product.id ? "is-chosen" : ""} ${variant.quantity > 0 ? "" : "is-sold-out"}`}
            href=${productLink(variant)}
            aria-current=${variant.id === product.id ? "true" : undefined}
          >
            ${variant.variant_title ?? displayName(variant.name)}
            ${variant.quantity > 0 ? null : html`<span class="visually-hidden">, ${t("product.soldOut")}</span>`}
          </a>
        </li>`,
      )}
    </ul>
  </nav>`;
}

/** @param {{id: string, title: string, hint?: string, path: string, field: string, productId: string}} props */
function Related({ id, title, hint, path, field, productId }) {
  const who = useStore(shopper);
  const loaded = useLoaded(
    async (signal) =>
      (await api.get(path, { ...own(), product_id: productId, k: 12, explain: true }, { signal })).body,
    [productId, who.id],
  );
  return html`<${ProductList}
    title=${title}
    id=${id}
    hint=${hint}
    loaded=${{ ...loaded, value: loaded.value?.[field] ?? null }}
    recommendationId=${loaded.value?.recommendation_id}
  />`;
}

/** What the shopper may like beside this product, read again once the view of it has taken effect. @param {{productId: string}} props */
function ForYou({ productId }) {
  const who = useStore(shopper);
  const latest = useStore(actions)[0];
  const isApplied = latest?.kind === "view" && latest.state !== "sending" && latest.state !== "applying";
  const loaded = useLoaded(
    async (signal) => {
      if (who.id === null) return { recommendations: [] };
      const query = { ...own(), product_id: productId, k: 12, explain: true };
      return (await api.get("/recommendations", query, { signal })).body;
    },
    [productId, who.id, isApplied],
  );
  return html`<${ProductList}
    title=${t("product.forYou")}
    id="for-you"
    loaded=${{ ...loaded, value: loaded.value?.recommendations ?? null }}
    recommendationId=${loaded.value?.recommendation_id}
  />`;
}
