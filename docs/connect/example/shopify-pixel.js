// A custom pixel of Shopify (Settings > Customer events). Set AISLE to the address of the deployment.
const AISLE = 'http://localhost:8080'

// the cookie that storefront.js sets in the theme; without it Shopify's own id of the browser
async function visitor(event) {
  return (await browser.cookie.get('aisle_visitor')) || event.clientId
}

async function report(event, fields) {
  const body = { user_id: await visitor(event), event_id: event.id, timestamp: event.timestamp, ...fields }
  await fetch(`${AISLE}/events`, {
    method: 'POST', keepalive: true, headers: { 'Content-Type': 'text/plain' }, body: JSON.stringify(body),
  })
}

// The id that the import gives a variant without a SKU is its product's handle, which events lack: give variants SKUs.
const sku = (variant) => variant?.sku || undefined

analytics.subscribe('product_viewed', (event) =>
  report(event, { event_type: 'view', external_id: sku(event.data.productVariant) }))

analytics.subscribe('product_added_to_cart', (event) => {
  const line = event.data.cartLine
  return report(event, {
    event_type: 'add_to_cart', external_id: sku(line?.merchandise), metadata: { quantity: line?.quantity ?? 1 },
  })
})

analytics.subscribe('search_submitted', (event) =>
  report(event, { event_type: 'search', metadata: { query: event.data.searchResult.query } }))

analytics.subscribe('checkout_completed', (event) => {
  const { order, lineItems } = event.data.checkout
  return report(event, {
    event_type: 'order', order_id: String(order.id),
    lines: lineItems.map((line) => ({
      external_id: sku(line.variant), quantity: line.quantity, price: line.variant.price.amount,
    })),
  })
})
