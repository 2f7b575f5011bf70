// Events and recommendations on a shop's own pages. Set AISLE to the address of the deployment.
const AISLE = 'http://localhost:8080'

// The visitor's id: made by Aisle once, then kept in a cookie for a year. All calls of a page wait for the same one.
let visitorId
function visitor() {
  visitorId ??= knownVisitor() ?? newVisitor()
  return visitorId
}

function knownVisitor() {
  const known = document.cookie.match(/(?:^|; )aisle_visitor=([^;]+)/)
  return known ? Promise.resolve(decodeURIComponent(known[1])) : null
}

async function newVisitor() {
  const answer = await fetch(`${AISLE}/auth/guest`, { method: 'POST' })
  const { user_id } = await answer.json()
  document.cookie = `aisle_visitor=${encodeURIComponent(user_id)}; Max-Age=31536000; Path=/; SameSite=Lax`
  return user_id
}

// text/plain needs no CORS preflight, and keepalive lets the request outlive its page.
async function report(event_type, fields) {
  const event = { user_id: await visitor(), event_id: crypto.randomUUID(), event_type, ...fields }
  return fetch(`${AISLE}/events`, {
    method: 'POST', keepalive: true, headers: { 'Content-Type': 'text/plain' }, body: JSON.stringify(event),
  })
}

// On a product page give its SKU: products like the one on the page are then among the first.
async function recommend(k, sku) {
  const query = new URLSearchParams({ user_id: await visitor(), k, explain: true })
  if (sku) query.set('external_id', sku)
  const answer = await fetch(`${AISLE}/recommendations?${query}`)
  return answer.ok ? (await answer.json()).recommendations : []
}
