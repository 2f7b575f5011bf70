/** The page around the views: header, panel, footer, and what belongs to each address. */

import { clearToasts, Empty, Icon, IconButton, ProblemNote, SkeletonText, Toasts, useLoaded } from "../common/components.js";
import { language, t } from "../common/i18n.js";
import { link, route } from "../common/router.js";
import { lasting } from "../common/storage.js";
import { useStore } from "../common/store.js";
import { html, useEffect, useRef, useState } from "../common/view.js";
import { cart, wishes } from "./actions.js";
import { Home } from "./home.js";
import { Panel } from "./panel.js";
import { SearchBox } from "./search-box.js";
import { config } from "./shop.js";
import { shopAs, shopper } from "./shopper.js";
import { awaitTitle } from "./title.js";

const PANEL = "aisle.panel";
/** From this width on, the panel has room beside the shop and is open at first. */
const WIDE = "(min-width: 75rem)";

/** The views behind the first page, each read when it is first opened. */
const VIEWS = {
  search: async () => (await import("./search.js")).Search,
  product: async () => (await import("./product.js")).ProductPage,
  cart: async () => (await import("./cart.js")).CartPage,
  checkout: async () => (await import("./cart.js")).CheckoutPage,
  orders: async () => (await import("./orders.js")).OrdersPage,
  order: async () => (await import("./orders.js")).OrderPage,
  wishlist: async () => (await import("./wishlist.js")).WishlistPage,
  account: async () => (await import("./account.js")).AccountPage,
};
/** The views that are here. @type {Map<string, import("../common/view.js").Component>} */
const views = new Map();

/** Shows a view as soon as its module is here. @param {{name: keyof typeof VIEWS, properties?: Record<string, unknown>}} props */
function View({ name, properties = {} }) {
  const loaded = useLoaded(async () => {
    const found = views.get(name) ?? (await VIEWS[name]());
    views.set(name, found);
  }, [name]);
  const found = views.get(name);
  if (found) return html`<${found} ...${properties} />`;
  if (loaded.error) return html`<${ProblemNote} error=${loaded.error} onRetry=${() => location.reload()} />`;
  return html`<${SkeletonText} lines=${5} />`;
}

/** @param {import("../common/router.js").Route} address */
function viewOf({ parts, query }) {
  const [name, id] = parts;
  switch (name) {
    case undefined:
      return html`<${Home} />`;
    case "search":
    case "cart":
    case "checkout":
    case "wishlist":
    case "account":
      return html`<${View} key=${name} name=${name} />`;
    case "product":
      return html`<${View} key=${`product ${id}`} name="product" properties=${{ id: id ?? "" }} />`;
    case "orders":
      return id
        ? html`<${View} key=${id} name="order" properties=${{ id, isNew: query.has("new") }} />`
        : html`<${View} key=${name} name="orders" />`;
    default:
      return html`<${Empty} icon="search" title=${t("nav.unknown")} text=${t("nav.unknownText")}>
        <a class="button button-main" href=${link("/")}>${t("nav.home")}</a>
      <//>`;
  }
}

export function App() {
  useStore(language);
  const address = useStore(route);
  const stored = lasting.read(PANEL);
  const [isOpen, setOpen] = useState(stored === null ? matchMedia(WIDE).matches : stored === "open" && matchMedia(WIDE).matches);
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const isFirst = useRef(true);

  useEffect(() => {
    document.title = titleOf(address);
    if (isFirst.current) {
      isFirst.current = false;
      return;
    }
    // where the panel lies over the shop, it would hide the new view
    if (!matchMedia(WIDE).matches) setOpen(false);
    // the message of an addition leads where the shopper is by now
    if (["cart", "checkout", "orders"].includes(address.parts[0] ?? "")) clearToasts();
    // a new view begins at its top
    scrollTo(0, 0);
    awaitTitle(main.current);
  }, [address.path]);

  /** @param {boolean} next */
  const toggle = (next) => {
    setOpen(next);
    lasting.write(PANEL, next ? "open" : "closed");
  };

  return html`
    <a
      class="skip-link"
      href="#main"
      onClick=${(/** @type {Event} */ event) => {
        event.preventDefault();
        main.current?.focus();
      }}
      >${t("nav.skip")}</a
    >
    <${Header} isPanelOpen=${isOpen} onPanel=${() => toggle(!isOpen)} />
    <div class=${isOpen ? "frame has-live" : "frame"}>
      <div class="shop">
        <${Customer} />
        <main id="main" ref=${main} tabindex="-1">${viewOf(address)}</main>
        <${Footer} />
      </div>
      ${isOpen ? html`<${Panel} onClose=${() => toggle(false)} />` : null}
    </div>
    <${Toasts} />
  `;
}

/** @param {import("../common/router.js").Route} address */
function titleOf({ parts, query }) {
  const known = { cart: "cart.title", checkout: "checkout.title", orders: "orders.title", wishlist: "wishlist.title", account: "account.title" };
  const key = known[/** @type {keyof typeof known} */ (parts[0] ?? "")];
  const part = parts[0] === "search" ? query.get("q") || query.get("category") || t("search.everything") : key && t(key);
  return part ? `${part} – ${config.name}` : config.name;
}

/** @param {{isPanelOpen: boolean, onPanel: () => void}} props */
function Header({ isPanelOpen, onPanel }) {
  const count = useStore(cart)?.item_count ?? 0;
  const wished = useStore(wishes).size;
  const who = useStore(shopper);
  return html`<header class="header">
    <div class="header-row">
      <a class="wordmark" href=${link("/")}>${config.name}</a>
      <${SearchBox} />
      <nav class="header-icons" aria-label=${t("nav.label")}>
        <${Shortcut} to="/wishlist" icon="heart" label=${t("wishlist.title")} badge=${wished} />
        <${Shortcut} to="/orders" icon="box" label=${t("orders.title")} />
        <${Shortcut} to="/account" icon="person" label=${t(who.kind === "account" ? "account.title" : "account.signIn")} />
        <${Shortcut} to="/cart" icon="cart" label=${t("cart.title")} badge=${count} />
        <${IconButton}
          icon="pulse"
          label=${t(isPanelOpen ? "live.close" : "live.open")}
          expanded=${isPanelOpen}
          controls=${isPanelOpen ? "live" : undefined}
          class="live-toggle"
          onClick=${onPanel}
        />
      </nav>
    </div>
  </header>`;
}

/** @param {{to: string, icon: string, label: string, badge?: number}} props */
function Shortcut({ to, icon, label, badge = 0 }) {
  const { path } = useStore(route);
  return html`<a
    class="icon-button"
    href=${link(to)}
    title=${label}
    aria-label=${badge ? t("nav.count", { label, n: badge }) : label}
    aria-current=${path.startsWith(to) ? "page" : undefined}
  >
    <${Icon} name=${icon} />
    ${badge ? html`<span class="badge" aria-hidden="true">${badge > 99 ? "99+" : badge}</span>` : null}
  </a>`;
}

/** Says so while somebody else's eyes are borrowed. */
function Customer() {
  const who = useStore(shopper);
  if (who.kind !== "customer") return null;
  return html`<p class="as-customer">
    <span>${t("customer.banner", { id: who.id ?? "" })}</span>
    <button type="button" class="text-button" onClick=${() => shopAs(null)}>${t("customer.stop")}</button>
  </p>`;
}

function Footer() {
  return html`<footer class="footer small muted">
    <p>${t("footer.text")}</p>
    <ul class="row">
      <li><a href="/docs">${t("footer.api")}</a></li>
      <li><a href="/console">${t("footer.console")}</a></li>
      <li><a href=${link("/account")}>${t("footer.looks")}</a></li>
    </ul>
  </footer>`;
}
