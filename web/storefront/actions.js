/** What a shopper can do, each once: the cart, the wishlist, views and feedback. */

import { toast, problemText } from "../common/components.js";
import { randomId } from "../common/api.js";
import { displayName } from "../common/format.js";
import { t } from "../common/i18n.js";
import { go, link } from "../common/router.js";
import { ofThisTab } from "../common/storage.js";
import { createStore } from "../common/store.js";
import { act } from "./live.js";
import { api } from "./shop.js";
import { own, requireShopper, shopper } from "./shopper.js";

/** @typedef {import("./shop.js").Product} Product */
/** @typedef {{product: Product, quantity: number, price: number, price_when_added: number, line_total: number, changes: string[]}} CartItem */
/** @typedef {{items: CartItem[], total: number, item_count: number}} Cart */

/** @type {Cart} */
const EMPTY_CART = { items: [], total: 0, item_count: 0 };
const SESSION = "aisle.session";

/** The shopper's cart; null until it is read. @type {import("../common/store.js").Store<Cart | null>} */
export const cart = createStore(/** @type {Cart | null} */ (null));
/** Ids of the products on the wishlist. @type {import("../common/store.js").Store<Set<number>>} */
export const wishes = createStore(/** @type {Set<number>} */ (new Set()));

/** Count the changes, so that an answer which was on its way meanwhile does not undo one. */
let cartChanges = 0;
let wishChanges = 0;
/** Of several reads at once the newest decides: the number of the last one that began, and of the one shown. */
let lastRead = 0;
let shownRead = 0;

/** @param {Cart} found */
export function setCart(found) {
  cartChanges += 1;
  cart.set(found);
}

/** Reads the cart and the wishlist, now and whenever somebody else shops. */
export function startShopping() {
  shopper.watch(() => {
    cart.set(null);
    wishes.set(new Set());
    void readAll();
  });
  void readAll();
}

async function readAll() {
  await Promise.all([readCart().catch(() => undefined), readWishes().catch(() => undefined)]);
}

/** Throws Problem. @param {AbortSignal} [signal] */
export async function readCart(signal) {
  const { id } = shopper.get();
  const before = cartChanges;
  const read = ++lastRead;
  const found = id === null ? EMPTY_CART : (await api.get("/cart", own(), { signal })).body;
  if (shopper.get().id === id && cartChanges === before && read > shownRead) {
    shownRead = read;
    cart.set(found);
  }
  return found;
}

async function readWishes() {
  const { id } = shopper.get();
  if (id === null) return;
  const before = wishChanges;
  const found = (await api.get("/wishlist", { ...own(), page_size: 100 })).body;
  if (shopper.get().id === id && wishChanges === before) wishes.set(new Set(found.items.map((/** @type {any} */ item) => item.product.id)));
}

/** The id of this visit, which events carry. */
function sessionId() {
  let id = ofThisTab.read(SESSION);
  if (id === null) ofThisTab.write(SESSION, (id = randomId()));
  return id;
}

/** Reports that the shopper looks at a product. Failures do not disturb. @param {Product} product */
export function view(product) {
  return act("view", displayName(product.name), async () =>
    api.post("/events", {
      user_id: await requireShopper(),
      product_id: product.id,
      event_type: "view",
      session_id: sessionId(),
    }),
  ).catch(() => undefined);
}

/** Returns whether the product is in the cart now; a toast says why it is not. @param {Product} product @param {number} [quantity] */
export async function addToCart(product, quantity = 1) {
  try {
    // the key lets the request be sent again without adding twice
    const idempotencyKey = randomId();
    const found = await act("add", displayName(product.name), () =>
      api.request("POST", "/cart/items", { query: own(), body: { product_id: product.id, quantity }, idempotencyKey }),
    );
    setCart(found.body);
    toast(t("cart.added", { name: displayName(product.name) }), {
      action: { label: t("cart.see"), run: () => go(link("/cart")) },
    });
    return true;
  } catch (error) {
    toast(problemText(error), { kind: "bad" });
    return false;
  }
}

/** Throws Problem. @param {CartItem} item @param {number} quantity 0 removes it */
export async function setQuantity(item, quantity) {
  const path = `/cart/items/${item.product.id}`;
  const found = await act(quantity > item.quantity ? "add" : "remove", displayName(item.product.name), () =>
    quantity === 0
      ? api.delete(path, { query: own() })
      : api.patch(path, { quantity }, { query: own() }),
  );
  setCart(found.body);
}

/** Puts a product on the wishlist, or takes it off. @param {Product} product */
export async function toggleWish(product) {
  const name = displayName(product.name);
  const path = `/wishlist/${product.id}`;
  const isWished = wishes.get().has(product.id);
  try {
    if (isWished) await api.delete(path, { query: own() });
    else await act("wish", name, () => api.put(path, undefined, { query: own() }));
    wishChanges += 1;
    wishes.set((before) => {
      const after = new Set(before);
      if (isWished) after.delete(product.id);
      else after.add(product.id);
      return after;
    });
    toast(t(isWished ? "wishlist.removed" : "wishlist.added", { name }));
  } catch (error) {
    toast(problemText(error), { kind: "bad" });
  }
}

/** Answers and products that were reported as seen. @type {Set<string>} */
const seen = new Set();

/**
 * Reports what the shopper did with a product of an answer; the shop's rates of clicks count these. Failures do not disturb.
 *
 * @param {string | null | undefined} recommendationId
 * @param {Product} product
 * @param {number} position
 * @param {"impression" | "click"} action
 */
export function feedback(recommendationId, product, position, action) {
  if (!recommendationId) return;
  const key = `${recommendationId} ${product.id} ${action}`;
  if (seen.has(key)) return;
  seen.add(key);
  const body = { recommendation_id: recommendationId, product_id: product.id, action, position };
  api.post("/recommendations/feedback", body, { keepalive: true }).catch(() => undefined);
}
