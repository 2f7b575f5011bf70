// A visit to a storefront of Medusa with the files of docs/connect/example: prints what the visitor is shown, as JSON.
// Environment: AISLE, MEDUSA, PUBLISHABLE_KEY, REGION, VARIANT (the id of one).
import { readFileSync } from "node:fs"
import vm from "node:vm"
import Medusa from "@medusajs/js-sdk"

const { AISLE, MEDUSA, PUBLISHABLE_KEY, REGION, VARIANT } = process.env
const examples = new URL("../../../docs/connect/example/", import.meta.url)

// what the two files use of a browser; a cookie is what assigning `document.cookie` leaves
let cookie = ""
const document = {
  get cookie() { return cookie },
  set cookie(text) { cookie = text.split(";")[0] },
}
const page = vm.createContext({ document, fetch, crypto, URLSearchParams, console })
for (const name of ["storefront.js", "medusa-storefront.js"]) {
  vm.runInContext(readFileSync(new URL(name, examples), "utf8").replace("http://localhost:8080", AISLE), page)
}

const sdk = new Medusa({ baseUrl: MEDUSA, publishableKey: PUBLISHABLE_KEY })
const { products } = await sdk.store.product.list({ region_id: REGION, fields: "*variants.calculated_price" })
const variant = products.flatMap((product) => product.variants).find((each) => each.id === VARIANT)

await page.viewed(variant)
let { cart } = await sdk.store.cart.create({ region_id: REGION, email: "visitor@medusa.test" })
cart = (await sdk.store.cart.createLineItem(cart.id, { variant_id: variant.id, quantity: 1 })).cart
await page.addedToCart(sdk, cart, variant, 1)
const address = { first_name: "A", last_name: "B", address_1: "C", city: "D", postal_code: "1", country_code: "de" }
cart = (await sdk.store.cart.update(cart.id, { shipping_address: address })).cart
await sdk.store.payment.initiatePaymentSession(cart, { provider_id: "pp_system_default" })
const completed = await sdk.store.cart.complete(cart.id)
const recommended = await page.recommendedProducts(sdk, REGION, 6, variant)
console.log(JSON.stringify({
  visitor: await page.visitor(),
  order: completed.order?.id ?? completed,
  recommended: recommended.map(({ title, variants }) => ({ title, price: variants[0].calculated_price.calculated_amount })),
}))
