/** The page around the views: header, panel, footer, and what belongs to each address. */

import { Empty, Icon, IconButton, Toasts } from "../common/components.js";
import { language, t } from "../common/i18n.js";
import { link, route } from "../common/router.js";
import { lasting } from "../common/storage.js";
import { useStore } from "../common/store.js";
import { html, useEffect, useRef, useState } from "../common/view.js";
import { AccountPage } from "./account.js";
import { cart, wishes } from "./actions.js";
import { CartPage, CheckoutPage } from "./cart.js";
import { Home } from "./home.js";
import { OrderPage, OrdersPage } from "./orders.js";
import { Panel } from "./panel.js";
import { ProductPage } from "./product.js";
import { Search } from "./search.js";
import { SearchBox } from "./search-box.js";
import { config } from "./shop.js";
import { shopAs, shopper } from "./shopper.js";
import { WishlistPage } from "./wishlist.js";

const PANEL = "aisle.panel";
/** From this width on, the panel has room beside the shop and is open at first. */
const WIDE = "(min-width: 75rem)";

/** @param {import("../common/router.js").Route} address */
function viewOf({ parts, query }) {
  const [name, id] = parts;
  switch (name) {
    case undefined:
      return html`<${Home} />`;
    case "search":
      return html`<${Search} />`;
    case "product":
      return html`<${ProductPage} id=${id ?? ""} key=${id} />`;
    case "cart":
      return html`<${CartPage} />`;
    case "checkout":
      return html`<${CheckoutPage} />`;
    case "orders":
      return id ? html`<${OrderPage} id=${id} key=${id} isNew=${query.has("new")} />` : html`<${OrdersPage} />`;
    case "wishlist":
      return html`<${WishlistPage} />`;
    case "account":
      return html`<${AccountPage} />`;
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
    // a new page begins at its top, and screen readers read its title
    scrollTo(0, 0);
    const target = /** @type {HTMLElement | null} */ (main.current?.querySelector("h1[tabindex]") ?? main.current);
    target?.focus({ preventScroll: true });
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
