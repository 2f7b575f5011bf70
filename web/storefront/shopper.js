/**
 * Who shops: a guest, the holder of an account, or, where ids of the shop's own suffice (`trust_shop_ids`), a customer of
 * the loaded data.
 *
 * A guest is created by the first thing that needs one: looking around makes none. A guest lasts in this browser, an account
 * as long as its tab. A guest whose tokens have expired goes on by the id alone, which cannot be guessed
 * (docs/accounts.md).
 */

import { createApi } from "../common/api.js";
import { createLogin } from "../common/login.js";
import { lasting, ofThisTab } from "../common/storage.js";
import { createStore } from "../common/store.js";

/** @typedef {{kind: "nobody" | "guest" | "account" | "customer", id: string | null}} Shopper */

// not `aisle.guest`, which is the script's of pages of the same origin (docs/connect/snippet.md): it holds an id, this a token
const GUEST = "aisle.guest-login";
const GUEST_ID = "aisle.guest-id";
const ACCOUNT = "aisle.account";
const CUSTOMER = "aisle.customer";

/** @type {import("../common/store.js").Store<Shopper>} */
export const shopper = createStore(/** @type {Shopper} */ ({ kind: "nobody", id: null }));

/** @type {import("../common/login.js").Login} */
let guest;
/** @type {import("../common/login.js").Login} */
let account;
/** @type {import("../common/api.js").Api} */
let plain;
let shopIdsSuffice = false;
/** @type {Promise<void> | null} */
let creation = null;

/** @param {string} base address of the API @param {boolean} trustShopIds */
export function startShopper(base, trustShopIds) {
  shopIdsSuffice = trustShopIds;
  plain = createApi({ base, idPrefix: "store" });
  guest = createLogin({ base, key: GUEST, storage: lasting });
  account = createLogin({ base, key: ACCOUNT, storage: ofThisTab, onEnd: update });
  update();
}

/**
 * Renews the tokens of whoever shops, so that the page knows before its first request whether they are still valid. Where
 * the server does not answer, the requests themselves say so.
 */
export async function renewShopper() {
  await credentials.token().catch(() => undefined);
  update();
}

/** Sets who shops from what the browser has stored. */
function update() {
  const customer = shopIdsSuffice ? ofThisTab.read(CUSTOMER) : null;
  const guestId = guest.userId() ?? lasting.read(GUEST_ID);
  /** @type {Shopper} */
  let next = { kind: "nobody", id: null };
  if (customer) next = { kind: "customer", id: customer };
  else if (account.userId()) next = { kind: "account", id: account.userId() };
  else if (guestId) next = { kind: "guest", id: guestId };
  const before = shopper.get();
  if (before.kind !== next.kind || before.id !== next.id) shopper.set(next);
}

/** The login of whoever shops now; null without tokens. */
function login() {
  const { kind } = shopper.get();
  if (kind === "account") return account;
  return kind === "guest" && guest.refreshToken() ? guest : null;
}

/** @type {import("../common/api.js").Credentials} */
export const credentials = {
  token: async () => (await login()?.token()) ?? null,
  renew: async (refused) => (await login()?.renew(refused)) ?? false,
};

/** Returns the parameters that name the shopper where no token does. */
export function own() {
  const { id } = shopper.get();
  return login() || id === null ? {} : { user_id: id };
}

/** Whether the shopper's own profile can be read: ids of the shop's own have no token. */
export function hasProfile() {
  return login() !== null;
}

/** Creates a guest unless somebody shops already, and returns the shopper's id. Throws Problem. */
export async function requireShopper() {
  if (shopper.get().id === null) {
    creation ??= createGuest().finally(() => {
      creation = null;
    });
    await creation;
  }
  return /** @type {string} */ (shopper.get().id);
}

async function createGuest() {
  const tokens = (await plain.post("/auth/guest")).body;
  guest.keep(tokens);
  lasting.write(GUEST_ID, tokens.user_id);
  update();
}

/**
 * Registers or logs in, and takes along what the guest did. Throws Problem.
 *
 * @param {import("../common/api.js").Api} api
 * @param {"/auth/register" | "/auth/login"} path
 * @param {Record<string, string>} fields
 * @returns {Promise<{merged: boolean, left: number}>} whether a guest became part of the account, and how many products of
 *   the cart and the wishlist found no room there
 */
export async function signIn(api, path, fields) {
  const { kind, id } = shopper.get();
  const isProven = kind === "guest" && guest.refreshToken() !== null;
  const body = isProven ? { ...fields, guest_user_id: id } : fields;
  const { merge, ...tokens } = (await api.post(path, body, { anonymous: !isProven })).body;
  account.keep(tokens);
  ofThisTab.write(CUSTOMER, null);
  if (isProven) forgetGuest();
  update();
  return {
    merged: merge?.merged ?? false,
    left: (merge?.left_cart_items.length ?? 0) + (merge?.left_wishlist.length ?? 0),
  };
}

export async function signOut() {
  await account.end();
  update();
}

/** Forgets the guest of this browser; the next action makes another. */
export function forgetGuest() {
  guest.forget();
  lasting.write(GUEST_ID, null);
  update();
}

/** @param {string | null} id a customer of the loaded data; null goes back to oneself */
export function shopAs(id) {
  ofThisTab.write(CUSTOMER, id);
  update();
}

/** After an erasure: nobody is left to log out. */
export function forgetAccount() {
  account.forget();
  update();
}
