/** The shop that the page shows: its settings, and the client of its API. Both exist once startShop() has run. */

import { createApi } from "../common/api.js";
import { money } from "../common/format.js";
import * as shopper from "./shopper.js";

/** @typedef {Awaited<ReturnType<typeof import("../common/api.js").readConfig>>} Config */

/** @type {Config} */
export let config;
/** @type {import("../common/api.js").Api} */
export let api;

/** @param {Config} found */
export function startShop(found) {
  config = found;
  shopper.startShopper(found.api, found.trust_shop_ids);
  api = createApi({ base: found.api, credentials: shopper.credentials, idPrefix: "store" });
}

/**
 * A product as the API returns it, with the fields that lists of some kinds add.
 *
 * @typedef {object} Product
 * @property {number} id
 * @property {string} external_id
 * @property {string | null} item_group_id
 * @property {string} name
 * @property {string | null} variant_title
 * @property {string} description
 * @property {number} price
 * @property {number | null} list_price
 * @property {string | null} currency
 * @property {string | null} image_url
 * @property {string | null} category
 * @property {string | null} category_path
 * @property {string | null} brand
 * @property {string[]} tags
 * @property {number} quantity
 * @property {boolean} stock_counted
 * @property {number | null} average_rating
 * @property {number | null} review_count
 * @property {Reason | null} [reason]
 * @property {number} [rank]
 * @property {boolean} [due]
 */

/**
 * @typedef {object} Reason
 * @property {string} kind
 * @property {number | null} product_id
 * @property {string | null} product_name
 * @property {string} text
 */

/** Returns a price in the product's currency, otherwise in the shop's. @param {number} amount @param {string | null} [currency] */
export function price(amount, currency = null) {
  return money(amount, currency ?? config.currency);
}
