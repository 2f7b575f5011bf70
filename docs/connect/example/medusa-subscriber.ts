/**
 * Keeps Aisle current: after each change of a product, a price, the stock or an order, its state goes to Aisle.
 *
 * Put this file into src/subscribers of the Medusa project, and set in its environment:
 *   AISLE_URL               address of the deployment, such as https://shop-backend.example
 *   AISLE_WEBHOOK_KEY       the setting WEBHOOK_KEYS of the deployment, or one of its keys
 *   AISLE_REGION_ID         whose prices are sent; by default the oldest region's
 *   AISLE_SALES_CHANNEL_ID  which products are sent; by default those of the store's default sales channel
 * The last two are those of the feed's address, where Medusa has several.
 */
import { createHmac } from "node:crypto"
import type { SubscriberArgs, SubscriberConfig } from "@medusajs/framework"
import { ContainerRegistrationKeys, getVariantAvailability, QueryContext } from "@medusajs/framework/utils"

type Row = Record<string, any>
type Query = { graph(request: Row): Promise<{ data: Row[] }> }
type Delivery = { type: "product" | "order"; id: string } & Row

// Changes often come in groups, such as all variants of a product. Those that come while one waits are sent with it.
const WAIT_MS = 200
const TIMEOUT_MS = 10_000
// milliseconds before each further attempt; what still fails comes with the next pull
const PAUSES_MS = [1_000, 5_000, 20_000]

const PRODUCT_FIELDS = [
  "id", "title", "subtitle", "description", "thumbnail", "status", "updated_at", "type.*", "tags.*", "categories.*",
  "sales_channels.id", "variants.*", "variants.calculated_price.*",
]
const ORDER_FIELDS = [
  "id", "status", "customer_id", "canceled_at", "created_at", "updated_at", "metadata", "items.*", "items.detail.*",
  "payment_collections.captured_amount", "payment_collections.refunded_amount",
]

const waiting = new Map<string, Promise<void>>()
let lastTime = 0

export default async function aisle({ event: { name, data }, container }: SubscriberArgs<{ id: string }>) {
  const query = container.resolve(ContainerRegistrationKeys.QUERY) as unknown as Query
  const logger = container.resolve(ContainerRegistrationKeys.LOGGER)
  const { products, orders } = await concerned(query, name, data.id)
  await Promise.all([
    ...products.map((id) => once(`product ${id}`, () => deliver(() => productDelivery(query, id), logger))),
    ...orders.map((id) => once(`order ${id}`, () => deliver(() => orderDelivery(query, id), logger))),
  ])
}

export const config: SubscriberConfig = {
  event: [
    "product.created", "product.updated", "product.deleted",
    "product-variant.created", "product-variant.updated", "product-variant.deleted",
    "inventory-level.created", "inventory-level.updated", "inventory-level.deleted",
    "order.placed", "order.updated", "order.canceled", "order.return_received", "order-edit.confirmed",
    "payment.captured", "payment.refunded",
  ],
  context: { subscriberId: "aisle" },
}

// Returns the ids of the products and orders that an event is about.
async function concerned(query: Query, name: string, id: string): Promise<{ products: string[]; orders: string[] }> {
  const kind = name.split(".")[0]
  if (kind === "product") return { products: [id], orders: [] }
  if (kind === "order") return { products: await productsOf(query, id), orders: [id] }
  if (kind === "product-variant") {
    return { products: await ids(query, "variant", ["product_id"], id, (row) => [row.product_id]), orders: [] }
  }
  if (kind === "inventory-level") {
    const fields = ["inventory_item.variants.product_id"]
    const variants = (row: Row) => row.inventory_item?.variants ?? []
    const products = (row: Row) => variants(row).map((variant: Row) => variant.product_id)
    return { products: await ids(query, "inventory_level", fields, id, products), orders: [] }
  }
  if (kind === "payment") {
    const order = (row: Row) => [row.payment_collection?.order?.id]
    return { products: [], orders: await ids(query, "payment", ["payment_collection.order.id"], id, order) }
  }
  const changed = (row: Row) => [row.order_id]
  return { products: [], orders: await ids(query, "order_change", ["order_id"], id, changed).catch(() => [id]) }
}

async function ids(query: Query, entity: string, fields: string[], id: string, of: (row: Row) => any[]) {
  // also of what was just deleted
  const { data } = await query.graph({ entity, fields, filters: { id }, withDeleted: true })
  return [...new Set(data.flatMap(of).filter((found): found is string => typeof found === "string"))]
}

// An order changes the stock of its products.
function productsOf(query: Query, orderId: string) {
  return ids(query, "order", ["items.product_id"], orderId, (row) =>
    (row.items ?? []).map((item: Row) => item.product_id))
}

function once(key: string, work: () => Promise<void>): Promise<void> {
  const queued = waiting.get(key)
  if (queued) return queued // it has not read its state yet, so it will read this change too
  const run = new Promise((resolve) => setTimeout(resolve, WAIT_MS)).then(() => {
    waiting.delete(key)
    return work()
  })
  waiting.set(key, run)
  return run
}

async function productDelivery(query: Query, id: string): Promise<Delivery> {
  const [region] = (await query.graph({
    entity: "region",
    fields: ["id", "currency_code"],
    filters: process.env.AISLE_REGION_ID ? { id: process.env.AISLE_REGION_ID } : {},
    pagination: { take: 1, order: { id: "ASC" } },
  })).data
  if (!region) throw new Error("Medusa has no region, or none with AISLE_REGION_ID")
  const [product] = (await query.graph({
    entity: "product",
    fields: PRODUCT_FIELDS,
    filters: { id, status: "published" },
    context: {
      variants: { calculated_price: QueryContext({ region_id: region.id, currency_code: region.currency_code }) },
    },
  })).data
  const channel = process.env.AISLE_SALES_CHANNEL_ID ?? (await defaultChannel(query))
  if (!product || !product.sales_channels?.some((sold: Row) => sold?.id === channel)) {
    return { type: "product", id, product: null }
  }
  const counted = (product.variants ?? []).filter((variant: Row) => variant.manage_inventory)
  if (counted.length) {
    const available = await getVariantAvailability(query as any, {
      variant_ids: counted.map((variant: Row) => variant.id),
      sales_channel_id: channel,
    })
    for (const variant of counted) variant.inventory_quantity = available[variant.id]?.availability ?? 0
  }
  // `mpath` has the ids of a category and of those above it
  const above = (product.categories ?? []).flatMap((category: Row) => (category.mpath ?? "").split(".").filter(Boolean))
  const categories = above.length
    ? (await query.graph({
        entity: "product_category", fields: ["id", "name", "parent_category_id"], filters: { id: above },
      })).data
    : []
  return { type: "product", id, product, categories }
}

async function defaultChannel(query: Query) {
  const [store] = (await query.graph({ entity: "store", fields: ["default_sales_channel_id"] })).data
  return store?.default_sales_channel_id
}

async function orderDelivery(query: Query, id: string): Promise<Delivery> {
  const [order] = (await query.graph({ entity: "order", fields: ORDER_FIELDS, filters: { id } })).data
  if (!order) throw new Error(`there is no order ${id}`)
  return { type: "order", id, order }
}

// Each attempt reads the state again. Its time is taken before, so that Aisle knows which of two deliveries is newer.
async function deliver(read: () => Promise<Delivery>, logger: { warn(text: string): void }): Promise<void> {
  let reason = ""
  for (const pause of [0, ...PAUSES_MS]) {
    await new Promise((resolve) => setTimeout(resolve, pause))
    const time = (lastTime = Math.max(Date.now(), lastTime + 1))
    try {
      const delivery = await read()
      const answer = await post(JSON.stringify(delivery), time)
      const text = await answer.text()
      if (answer.ok) {
        const { rejected } = JSON.parse(text)
        if (rejected.length) logger.warn(`Aisle did not take all of ${delivery.id}: ${rejected.join("; ")}`)
        return
      }
      reason = `${answer.status} ${text.slice(0, 500)}`
      if (answer.status < 500 && ![408, 409, 429].includes(answer.status)) break
    } catch (error) {
      reason = String(error)
    }
  }
  logger.warn(`Aisle was not told of a change; the next pull brings it: ${reason}`)
}

function post(body: string, time: number): Promise<Response> {
  // a key may be written as the setting has it, name:secret and several with commas between them
  const key = (process.env.AISLE_WEBHOOK_KEY ?? "").split(",")[0].trim().replace(/^[^:]*:/, "")
  const signature = createHmac("sha256", key).update(`${time}.`).update(body).digest("hex")
  return fetch(`${(process.env.AISLE_URL ?? "").replace(/\/$/, "")}/v1/medusa`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Aisle-Signature": `t=${time},v1=${signature}` },
    body,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
}
