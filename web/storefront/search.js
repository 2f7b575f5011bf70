/** Search results and categories, with facets. The address holds every choice, so that a page can be shared and gone back to. */

import { Dialog, Empty, Icon, ProblemNote, Spinner, toast, problemText, useLoaded } from "../common/components.js";
import { milliseconds } from "../common/format.js";
import { t } from "../common/i18n.js";
import { go, link, route } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, useEffect, useRef, useState } from "../common/view.js";
import { Grid, ProductCard, SkeletonCards } from "./cards.js";
import { act } from "./live.js";
import { rememberSearch } from "./search-box.js";
import { api, price } from "./shop.js";
import { own } from "./shopper.js";
import { Title } from "./title.js";

/** @typedef {import("./shop.js").Product} Product */
/** @typedef {Record<string, string | string[]>} Choices */

const PAGE_SIZE = 24;
const SORTS = ["relevance", "popular", "price_asc", "price_desc", "newest"];

/** @param {URLSearchParams} query @returns {Choices} */
function choicesOf(query) {
  /** @type {Choices} */
  const choices = {};
  for (const name of ["q", "category", "min_price", "max_price", "in_stock", "on_sale", "sort"]) {
    const value = query.get(name);
    if (value) choices[name] = value;
  }
  const tags = query.getAll("tag");
  if (tags.length) choices.tag = tags;
  return choices;
}

/** @param {Choices} choices the query of GET /products */
function request(choices) {
  const { q, ...others } = choices;
  return { ...others, search: q, page_size: PAGE_SIZE };
}

export function Search() {
  const { query } = useStore(route);
  const choices = choicesOf(query);
  const address = JSON.stringify(choices);
  const text = typeof choices.q === "string" ? choices.q : "";
  const [more, setMore] = useState(/** @type {{products: Product[], next: string | null} | null} */ (null));
  const [isReading, setReading] = useState(false);
  const shownAddress = useRef(address);
  shownAddress.current = address;
  const [isFiltering, setFiltering] = useState(false);
  useEffect(() => {
    setMore(null);
    if (text) rememberSearch(text);
  }, [address]);
  const loaded = useLoaded(
    async (signal) => {
      if (!text) return api.get("/products", { ...request(choices), ...own() }, { signal });
      // the panel shows how long it took
      return act("search", text, () => api.get("/products", { ...request(choices), ...own() }, { signal }), {
        counts: false,
      });
    },
    [address],
  );
  const page = loaded.value?.body ?? null;
  const products = [...(page?.products ?? []), ...(more?.products ?? [])];
  const next = more ? more.next : (page?.next ?? null);
  const category = typeof choices.category === "string" ? choices.category : "";
  const title = text ? t("search.title", { text }) : category || t("search.everything");

  /** @param {Partial<Record<string, string | string[] | null>>} change @returns {string} */
  const changed = (change) => link("/search", { ...choices, ...change });

  const readMore = async () => {
    setReading(true);
    try {
      const found = (await api.get("/products", { ...request(choices), ...own(), after: next })).body;
      // other choices were made meanwhile: these products are not theirs
      if (shownAddress.current === address) setMore({ products: [...(more?.products ?? []), ...found.products], next: found.next ?? null });
    } catch (error) {
      toast(problemText(error), { kind: "bad" });
    }
    setReading(false);
  };

  const facets = page
    ? html`<${Facets} facets=${page.facets} choices=${choices} changed=${changed} />`
    : html`<div class="facets" aria-hidden="true"><span class="skeleton facet-skeleton"></span></div>`;

  return html`<div class="results">
    <header class="results-head">
      <div>
        <${Title}>${title}<//>
        <p class="muted" role="status">
          ${page ? t("search.count", { n: page.total }) : t("common.loading")}
          ${loaded.value ? html` · <span class="figure">${milliseconds(loaded.value.ms)}</span>` : null}
        </p>
        ${page?.corrected_query
          ? html`<p class="note note-info corrected">
              <${Icon} name="info" />
              <span>${t("search.corrected", { text, corrected: page.corrected_query })}</span>
            </p>`
          : null}
      </div>
      <div class="row">
        <button type="button" class="button button-small only-narrow" onClick=${() => setFiltering(true)}>
          <${Icon} name="filter" size="small" /> ${t("search.filter")}
        </button>
        <label class="row sort">
          <span class="small muted">${t("search.sort")}</span>
          <select
            class="select"
            value=${choices.sort ?? "relevance"}
            onChange=${(/** @type {any} */ event) => go(changed({ sort: event.currentTarget.value }))}
          >
            ${SORTS.map((sort) => html`<option key=${sort} value=${sort}>${t(`sort.${sort}`)}</option>`)}
          </select>
        </label>
      </div>
    </header>
    <aside class="only-wide" aria-label=${t("search.filters")}>${facets}</aside>
    <${Dialog} title=${t("search.filters")} isOpen=${isFiltering} onClose=${() => setFiltering(false)} side=${true}>
      ${facets}
      <button type="button" class="button button-main" onClick=${() => setFiltering(false)}>
        ${t("search.show", { n: page?.total ?? 0 })}
      </button>
    <//>
    <section class=${loaded.isStale && page ? "is-stale" : ""} aria-labelledby="results">
      <h2 class="visually-hidden" id="results">${t("search.results")}</h2>
      <${Chosen} choices=${choices} changed=${changed} />
      ${loaded.error ? html`<${ProblemNote} error=${loaded.error} onRetry=${loaded.again} />` : null}
      ${!page && !loaded.error ? html`<${Grid} isLoading=${true}><${SkeletonCards} count=${12} /><//>` : null}
      ${page && products.length === 0
        ? html`<${Empty} icon="search" title=${t("search.none")} text=${t("search.noneText")}>
            ${Object.keys(choices).some((name) => name !== "q" && name !== "sort")
              ? html`<a class="button" href=${link("/search", { q: text })}>${t("search.withoutFilters")}</a>`
              : null}
            <a class="button button-main" href=${link("/")}>${t("nav.home")}</a>
          <//>`
        : null}
      ${products.length
        ? html`<${Grid}>
            ${products.map((product) => html`<li key=${product.id}><${ProductCard} product=${product} /></li>`)}
          <//>`
        : null}
      ${next
        ? html`<div class="more">
            <button type="button" class="button" disabled=${isReading} onClick=${readMore}>
              ${isReading ? html`<${Spinner} />` : t("search.more")}
            </button>
            <span class="small muted figure">${t("search.shown", { n: products.length, total: page?.total ?? 0 })}</span>
          </div>`
        : null}
    </section>
  </div>`;
}

/** The choices that hold, each with a way to undo it. @param {{choices: Choices, changed: (change: any) => string}} props */
function Chosen({ choices, changed }) {
  /** @type {[string, string][]} */
  const entries = [];
  if (choices.category && choices.q) entries.push([String(choices.category), changed({ category: null })]);
  if (choices.min_price || choices.max_price) {
    entries.push([bandText(choices.min_price, choices.max_price), changed({ min_price: null, max_price: null })]);
  }
  const tags = Array.isArray(choices.tag) ? choices.tag : [];
  for (const tag of tags) entries.push([tag, changed({ tag: tags.filter((other) => other !== tag) })]);
  if (!entries.length) return null;
  return html`<ul class="chips chosen" aria-label=${t("search.chosen")}>
    ${entries.map(
      ([text, address]) => html`<li key=${text}>
        <a class="chip is-chosen" href=${address}>
          ${text} <${Icon} name="close" size="small" label=${t("search.remove")} />
        </a>
      </li>`,
    )}
  </ul>`;
}

/** @param {unknown} min @param {unknown} max */
function bandText(min, max) {
  if (max === null || max === undefined) return t("search.from", { price: price(Number(min)) });
  return `${price(Number(min ?? 0))} – ${price(Number(max))}`;
}

/**
 * @param {{facets: {categories: {path: string, name: string, count: number}[],
 *   price_bands: {min: number, max: number | null, count: number}[], tags: {tag: string, count: number}[]},
 *   choices: Choices, changed: (change: any) => string}} props
 */
function Facets({ facets, choices, changed }) {
  const tags = Array.isArray(choices.tag) ? choices.tag : [];
  /** @param {string} name @param {string} label */
  const check = (name, label) => html`<label class="check">
    <input
      type="checkbox"
      checked=${choices[name] === "true"}
      onChange=${(/** @type {any} */ event) => go(changed({ [name]: event.currentTarget.checked ? "true" : null }))}
    />
    ${label}
  </label>`;
  return html`<div class="facets">
    <div>${check("in_stock", t("search.inStock"))} ${check("on_sale", t("search.onSale"))}</div>
    ${facets.categories.length
      ? html`<nav aria-label=${t("search.categories")}>
          <h2 class="eyebrow">${t("search.categories")}</h2>
          <ul class="facet-list">
            ${choices.category
              ? html`<li><a href=${changed({ category: null })}><${Icon} name="left" size="small" /> ${t("search.allCategories")}</a></li>`
              : null}
            ${facets.categories.slice(0, 14).map(
              ({ path, count }) => html`<li key=${path}>
                <a
                  href=${changed({ category: path })}
                  aria-current=${choices.category === path ? "true" : undefined}
                >
                  <span>${path}</span><span class="figure muted small">${count}</span>
                </a>
              </li>`,
            )}
          </ul>
        </nav>`
      : null}
    ${facets.price_bands.length
      ? html`<nav aria-label=${t("search.price")}>
          <h2 class="eyebrow">${t("search.price")}</h2>
          <ul class="facet-list">
            ${facets.price_bands.map(({ min, max, count }) => {
              const isChosen = Number(choices.min_price ?? NaN) === min;
              const change = isChosen ? { min_price: null, max_price: null } : { min_price: String(min), max_price: max === null ? null : String(max) };
              return html`<li key=${min}>
                <a href=${changed(change)} aria-current=${isChosen ? "true" : undefined}>
                  <span class="figure">${bandText(min, max)}</span><span class="figure muted small">${count}</span>
                </a>
              </li>`;
            })}
          </ul>
        </nav>`
      : null}
    ${facets.tags.length
      ? html`<nav aria-label=${t("search.tags")}>
          <h2 class="eyebrow">${t("search.tags")}</h2>
          <ul class="chips">
            ${facets.tags.slice(0, 14).map(({ tag, count }) => {
              const isChosen = tags.includes(tag);
              const others = tags.filter((other) => other !== tag);
              return html`<li key=${tag}>
                <a
                  class=${isChosen ? "chip is-chosen" : "chip"}
                  href=${changed({ tag: isChosen ? others : [...tags, tag] })}
                  aria-current=${isChosen ? "true" : undefined}
                >
                  ${tag} <span class="muted figure">${count}</span>
                </a>
              </li>`;
            })}
          </ul>
        </nav>`
      : null}
  </div>`;
}
