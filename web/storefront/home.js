/** The first page: what is recommended to the shopper, and what the shop shows everybody. */

import { Empty, Segmented, useLoaded } from "../common/components.js";
import { t } from "../common/i18n.js";
import { link } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, useState } from "../common/view.js";
import { ProductList } from "./cards.js";
import * as live from "./live.js";
import { api, config } from "./shop.js";
import { own, shopper } from "./shopper.js";
import { Title } from "./title.js";

export function Home() {
  const who = useStore(shopper);
  return html`
    <${Welcome} />
    <${Recommended} key=${who.id} />
    <${Personal} path="/buy-again" id="again" title=${t("home.again")} hint=${t("home.againHint")} />
    <${Personal} path="/recently-viewed" id="viewed" title=${t("home.viewed")} />
    <${Trending} />
    <${Popular} />
  `;
}

function Welcome() {
  const categories = useLoaded(async (signal) => (await api.get("/products/categories", {}, { signal })).body, []);
  const top = (categories.value ?? [])
    .filter((/** @type {any} */ category) => category.parent_id === null && category.product_count > 0)
    .sort((/** @type {any} */ a, /** @type {any} */ b) => b.product_count - a.product_count);
  return html`<section class="welcome" aria-labelledby="welcome">
    <p class="eyebrow">${t("home.eyebrow")}</p>
    <${Title} id="welcome" isLarge=${true}>${config.name}<//>
    <p class="muted lead">${t("home.lead")}</p>
    <nav aria-label=${t("home.categories")}>
      <ul class="chips">
        ${categories.value === null && !categories.error
          ? [9, 7, 8, 6, 9, 7].map((width, index) => html`<li key=${index} class=${`skeleton chip-skeleton w-${width}`}></li>`)
          : top.slice(0, 14).map(
              (/** @type {any} */ category) => html`<li key=${category.id}>
                <a class="chip" href=${link("/search", { category: category.path })}>${category.name}</a>
              </li>`,
            )}
        ${top.length ? html`<li><a class="chip" href=${link("/search")}>${t("home.all")}</a></li>` : null}
      </ul>
    </nav>
  </section>`;
}

function Recommended() {
  const who = useStore(shopper);
  const answer = useStore(live.answer);
  const error = useStore(live.failure);
  if (who.id === null) return null;
  const isPersonal = answer?.strategy === "personalized";
  return html`<${ProductList}
    title=${t(isPersonal || !answer ? "home.recommended" : "home.start")}
    id="recommended"
    asGrid=${true}
    count=${live.K}
    hint=${answer ? t(isPersonal ? "home.recommendedHint" : "home.startHint") : null}
    loaded=${{ value: answer?.recommendations ?? null, error, again: live.refresh }}
    recommendationId=${answer?.recommendation_id}
  />`;
}

/** A list of the shopper's own. @param {{path: "/buy-again" | "/recently-viewed", id: string, title: string, hint?: string}} props */
function Personal({ path, id, title, hint }) {
  const who = useStore(shopper);
  const answer = useStore(live.answer);
  const loaded = useLoaded(
    async (signal) => {
      if (who.id === null) return { products: [] };
      const query = { ...own(), k: 12, explain: path === "/buy-again" || undefined };
      return (await api.get(path, query, { signal })).body;
    },
    // read again when an action has taken effect
    [who.id, answer?.generated_at],
  );
  return html`<${ProductList}
    title=${title}
    id=${id}
    hint=${hint}
    loaded=${{ ...loaded, value: loaded.value?.products ?? (who.id === null ? [] : null) }}
    recommendationId=${loaded.value?.recommendation_id}
    note=${(/** @type {import("./shop.js").Product} */ product) => (product.due ? t("home.due") : null)}
  />`;
}

function Trending() {
  const [days, setDays] = useState("7d");
  const loaded = useLoaded(
    async (signal) => (await api.get("/trending", { window: days, k: 12 }, { signal })).body.products,
    [days],
  );
  return html`<${ProductList}
    title=${t("home.trending")}
    id="trending"
    loaded=${loaded}
    tools=${html`<${Segmented}
      name="window"
      label=${t("home.window")}
      value=${days}
      values=${[["7d", t("home.7d")], ["30d", t("home.30d")]]}
      onChange=${setDays}
    />`}
    empty=${html`<p class="muted">${t("home.trendingEmpty")}</p>`}
  />`;
}

function Popular() {
  const loaded = useLoaded(async (signal) => (await api.get("/popular", { k: 12 }, { signal })).body.products, []);
  return html`<${ProductList}
    title=${t("home.popular")}
    id="popular"
    loaded=${loaded}
    empty=${html`<${Empty} title=${t("home.emptyShop")} text=${t("home.emptyShopText")} />`}
  />`;
}

