// What a Next.js server renders before the browser knows the visitor.

import { Aisle } from "aisle-client";
import type { CardProduct } from "./aisle.js";

/** Longer than this no page waits for Aisle. */
const TIMEOUT_MS = 800;

/**
 * Return products that suit everybody: those most like a product, or the popular ones. Empty if Aisle does not answer.
 *
 * They depend on no visitor, so that Next.js may keep the page for all of them.
 */
export async function forEverybody(url: string, k: number, externalId?: string): Promise<CardProduct[]> {
  const shop = new Aisle(url, { timeoutMs: TIMEOUT_MS, attempts: 1 });
  try {
    if (externalId !== undefined) {
      const { similar_products } = await shop.listSimilarProducts({ external_id: externalId, k });
      if (similar_products.length) return similar_products;
    }
    return (await shop.listPopularProducts({ k })).products;
  } catch {
    return [];
  }
}

/**
 * Return the recommendations of a customer who is logged in at the shop. Empty if Aisle does not answer.
 *
 * `secretKey` stays on the server, and the page must not be kept for others.
 */
export async function forCustomer(url: string, secretKey: string, customerId: string, k: number): Promise<CardProduct[]> {
  const shop = new Aisle(url, { apiKey: secretKey, timeoutMs: TIMEOUT_MS, attempts: 1 });
  try {
    return (await shop.getRecommendations({ user_id: customerId, k, explain: true })).recommendations;
  } catch {
    return [];
  }
}
