/** The shopper's wishlist. */

import { Empty, ProblemNote, useLoaded } from "../common/components.js";
import { t } from "../common/i18n.js";
import { link } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html } from "../common/view.js";
import { wishes } from "./actions.js";
import { Grid, ProductCard, SkeletonCards } from "./cards.js";
import { api } from "./shop.js";
import { own, shopper } from "./shopper.js";
import { Title } from "./title.js";

export function WishlistPage() {
  const who = useStore(shopper);
  const wished = useStore(wishes);
  const loaded = useLoaded(
    async (signal) => {
      if (who.id === null) return [];
      const found = (await api.get("/wishlist", { ...own(), page_size: 100 }, { signal })).body;
      return found.items.map((/** @type {any} */ item) => item.product);
    },
    [who.id],
  );
  // what is taken off disappears at once
  const products = /** @type {import("./shop.js").Product[] | undefined} */ (loaded.value ?? undefined)?.filter(({ id }) => wished.has(id));
  return html`
    <${Title}>${t("wishlist.title")}<//>
    ${loaded.error ? html`<${ProblemNote} error=${loaded.error} onRetry=${loaded.again} />` : null}
    ${!products && !loaded.error ? html`<${Grid} isLoading=${true}><${SkeletonCards} count=${4} /><//>` : null}
    ${products?.length === 0
      ? html`<${Empty} icon="heart" title=${t("wishlist.empty")} text=${t("wishlist.emptyText")}>
          <a class="button button-main" href=${link("/")}>${t("cart.browse")}</a>
        <//>`
      : null}
    ${products?.length
      ? html`<${Grid}>
          ${products.map((product) => html`<li key=${product.id}><${ProductCard} product=${product} /></li>`)}
        <//>`
      : null}
  `;
}
