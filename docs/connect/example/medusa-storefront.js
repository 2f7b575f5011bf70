// Aisle in a storefront of Medusa: load storefront.js first, which keeps the visitor's id and has report and recommend.
// `sdk` is Medusa's JS SDK (@medusajs/js-sdk) with the storefront's publishable key.

// A variant's external id: its SKU, or else Medusa's id of it.
function aisleId(variant) {
  return variant.sku?.trim() || variant.id
}

// On a product page.
function viewed(variant) {
  return report('view', { external_id: aisleId(variant) })
}

// After a line was added to the cart. The order keeps the cart's metadata: that is how it becomes this visitor's.
async function addedToCart(sdk, cart, variant, quantity) {
  if (!cart.metadata?.aisle_user_id) {
    await sdk.store.cart.update(cart.id, { metadata: { ...cart.metadata, aisle_user_id: await visitor() } })
  }
  return report('add_to_cart', { external_id: aisleId(variant), metadata: { quantity } })
}

// Returns recommended products as Medusa has them, in Aisle's order. On a product page give its variant.
async function recommendedProducts(sdk, regionId, k, variant) {
  const recommended = await recommend(k, variant && aisleId(variant))
  const ids = recommended.map((product) => product.item_group_id).filter(Boolean)
  if (!ids.length) return []
  const { products } = await sdk.store.product.list({
    id: ids, region_id: regionId, limit: ids.length, fields: '*variants.calculated_price',
  })
  return ids.map((id) => products.find((product) => product.id === id)).filter(Boolean)
}
