/** Products in lists: cards, rails, and what stands in their place while they load. */

import { Icon, ProblemNote, SkeletonText } from "../common/components.js";
import { displayName } from "../common/format.js";
import { language, t } from "../common/i18n.js";
import { link } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, useEffect, useRef, useState } from "../common/view.js";
import { addToCart, feedback, toggleWish, wishes } from "./actions.js";
import { price } from "./shop.js";

/** @typedef {import("./shop.js").Product} Product */

/** @param {Product} product */
export function productLink(product) {
  return link(`/product/${product.id}`);
}

/**
 * The picture of a product: the shop's own, otherwise the drawing that Aisle makes, otherwise a mark. Another product needs
 * another key.
 *
 * @param {{product: {id: number, image_url?: string | null}, eager?: boolean}} props
 */
export function Picture({ product, eager = false }) {
  const drawn = `/images/${product.id}.svg`;
  const [failures, setFailures] = useState(0);
  // the address of a drawing names the shop's public host, which may not be the one that this page came from
  const own = product.image_url && !product.image_url.endsWith(drawn) ? [product.image_url] : [];
  const sources = [...own, drawn];
  const source = sources[failures];
  // the name stands beside each picture, so a description of it would say it twice
  return html`<span class=${source === drawn ? "picture is-drawn" : "picture"}>
    ${source
      ? html`<img
          src=${source}
          alt=""
          loading=${eager ? "eager" : "lazy"}
          decoding="async"
          width="400"
          height="400"
          onError=${() => setFailures(failures + 1)}
        />`
      : html`<${Icon} name="image" size="large" />`}
  </span>`;
}

/** @param {{product: {price: number, list_price: number | null, currency: string | null}}} props */
export function Price({ product }) {
  const { list_price: listPrice, currency } = product;
  const isReduced = listPrice !== null && listPrice > product.price;
  return html`<span class=${isReduced ? "price price-reduced" : "price"}>
    <span class="figure">${price(product.price, currency)}</span>
    ${isReduced
      ? html`<del class="figure"><span class="visually-hidden">${t("product.before")} </span>${price(listPrice, currency)}</del>`
      : null}
  </span>`;
}

/**
 * Returns the sentence of a reason. English shows the API's own, other languages say it by the reason's kind.
 *
 * @param {import("./shop.js").Reason} reason
 * @param {Product} product
 */
export function reasonText(reason, product) {
  const name = displayName(reason.product_name);
  if (language.get() === "en" || reason.kind === "rule") {
    return reason.product_name ? reason.text.replace(reason.product_name, name) : reason.text;
  }
  if (reason.kind === "taste" && product.category) return t("reason.taste", { name: product.category });
  return t(`reason.${reason.kind}${reason.product_name || reason.kind === "again" ? "" : ".alone"}`, { name });
}

/** @param {{product: Product}} props */
export function Reason({ product }) {
  return product.reason ? html`<p class="reason">${reasonText(product.reason, product)}</p>` : null;
}

/** @param {{product: Product}} props a heart that is full while the product is on the wishlist */
export function WishButton({ product }) {
  const isWished = useStore(wishes).has(product.id);
  return html`<button
    type="button"
    class=${isWished ? "wish is-wished" : "wish"}
    aria-pressed=${isWished}
    aria-label=${t("wishlist.toggle", { name: displayName(product.name) })}
    onClick=${() => toggleWish(product)}
  >
    <${Icon} name="heart" />
  </button>`;
}

/**
 * @param {{product: Product, note?: string | null, recommendationId?: string | null, position?: number, eager?: boolean}} props
 *   `note` stands above the name; with `recommendationId`, what is seen and clicked is reported
 */
export function ProductCard({ product, note = null, recommendationId = null, position = 1, eager = false }) {
  const element = useRef(/** @type {HTMLElement | null} */ (null));
  const [isAdding, setAdding] = useState(false);
  useEffect(() => {
    const card = element.current;
    if (!card || !recommendationId) return undefined;
    const observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        observer.disconnect();
        feedback(recommendationId, product, position, "impression");
      },
      { threshold: 0.5 },
    );
    observer.observe(card);
    return () => observer.disconnect();
  }, [recommendationId, product.id, position]);
  const isSoldOut = product.quantity <= 0;
  const name = displayName(product.name);
  return html`<article class="card" ref=${element}>
    <div class="card-picture">
      <${Picture} product=${product} eager=${eager} />
      ${isSoldOut ? html`<span class="tag card-flag">${t("product.soldOut")}</span>` : null}
      ${!isSoldOut && note ? html`<span class="tag card-flag">${note}</span>` : null}
      <${WishButton} product=${product} />
    </div>
    <h3 class="card-name">
      <a href=${productLink(product)} onClick=${() => feedback(recommendationId, product, position, "click")}>${name}</a>
    </h3>
    ${product.variant_title ? html`<p class="small muted">${product.variant_title}</p>` : null}
    <${Reason} product=${product} />
    <div class="card-foot">
      <${Price} product=${product} />
      <button
        type="button"
        class="add"
        aria-label=${t("cart.addName", { name })}
        title=${t("cart.add")}
        disabled=${isSoldOut || isAdding}
        onClick=${async () => {
          setAdding(true);
          await addToCart(product);
          setAdding(false);
        }}
      >
        <${Icon} name="plus" />
      </button>
    </div>
  </article>`;
}

/** Cards that are on their way. @param {{count?: number}} props */
export function SkeletonCards({ count = 6 }) {
  return Array.from(
    { length: count },
    (_, index) => html`<li class="card" key=${index} aria-hidden="true">
      <div class="card-picture"><span class="picture skeleton"></span></div>
      <${SkeletonText} lines=${2} />
    </li>`,
  );
}

/**
 * A list of products under a title: in one row that scrolls, or as a grid. Empty lists show nothing, unless `empty` says
 * what.
 *
 * @param {{title: string, id: string, hint?: unknown, loaded: {value: Product[] | null, error: unknown, again?: () => void},
 *   recommendationId?: string | null, asGrid?: boolean, note?: (product: Product) => string | null, empty?: unknown,
 *   tools?: unknown, count?: number}} props
 */
export function ProductList({
  title, id, hint, loaded, recommendationId = null, asGrid = false, note, empty = null, tools, count = 6,
}) {
  const { value, error, again } = loaded;
  if (value !== null && value.length === 0 && !empty) return null;
  return html`<section class="list" aria-labelledby=${id}>
    <header class="list-head">
      <div>
        <h2 id=${id}>${title}</h2>
        ${hint ? html`<p class="muted small">${hint}</p>` : null}
      </div>
      ${tools}
    </header>
    ${error && value === null ? html`<${ProblemNote} error=${error} onRetry=${again} />` : null}
    ${value !== null && value.length === 0 ? empty : null}
    ${error && value === null
      ? null
      : html`<${asGrid ? Grid : Rail} label=${title} isLoading=${value === null}>
          ${value === null
            ? html`<${SkeletonCards} count=${count} />`
            : value.map(
                (product, index) => html`<li key=${product.id}>
                  <${ProductCard}
                    product=${product}
                    recommendationId=${recommendationId}
                    position=${index + 1}
                    note=${note?.(product)}
                  />
                </li>`,
              )}
        <//>`}
  </section>`;
}

/** @param {{children: unknown, isLoading?: boolean}} props */
export function Grid({ children, isLoading = false }) {
  return html`<ul class="grid" aria-busy=${isLoading}>${children}</ul>`;
}

/** A row that scrolls sideways, with buttons for people without a touch screen. @param {{label: string, children: unknown,
 *   isLoading?: boolean}} props */
function Rail({ label, children, isLoading = false }) {
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const [edges, setEdges] = useState({ start: true, end: true });
  const measure = () => {
    const row = list.current;
    if (!row) return;
    const next = { start: row.scrollLeft < 8, end: row.scrollLeft + row.clientWidth > row.scrollWidth - 8 };
    setEdges((before) => (before.start === next.start && before.end === next.end ? before : next));
  };
  useEffect(() => {
    const row = list.current;
    if (!row) return undefined;
    const observer = new ResizeObserver(measure);
    observer.observe(row);
    measure();
    return () => observer.disconnect();
  });
  /** @param {number} direction */
  const scroll = (direction) => {
    const row = list.current;
    row?.scrollBy({ left: direction * row.clientWidth * 0.85, behavior: "smooth" });
  };
  return html`<div class="rail">
    <ul class="rail-row" ref=${list} onScroll=${measure} aria-busy=${isLoading}>${children}</ul>
    ${edges.start
      ? null
      : html`<button type="button" class="rail-button rail-back" aria-label=${t("list.back", { name: label })} onClick=${() => scroll(-1)}>
          <${Icon} name="left" />
        </button>`}
    ${edges.end
      ? null
      : html`<button type="button" class="rail-button rail-on" aria-label=${t("list.on", { name: label })} onClick=${() => scroll(1)}>
          <${Icon} name="right" />
        </button>`}
  </div>`;
}
