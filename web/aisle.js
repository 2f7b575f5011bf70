/* Aisle: docs/connect/snippet.md */
(() => {
  const script = document.currentScript;
  const { key, link = "/product/{external_id}", consent = "required" } = script.dataset;
  const base = new URL(".", script.src).href.slice(0, -1);
  const LARGEST = 50, WAIT_MS = 1000, MOST = 500;
  const BLOCKS = {
    recommendations: ["recommendations", "recommendations"],
    similar: ["similar-products", "similar_products"],
    together: ["frequently-bought-together"],
    "buy-again": ["buy-again"],
    "recently-viewed": ["recently-viewed"],
    popular: ["popular"],
    trending: ["trending"],
  };
  const memory = {};
  const kept = (name) => {
    try {
      return memory[name] ?? localStorage.getItem(`aisle.${name}`);
    } catch {}
  };
  const keep = (name, value) => {
    memory[name] = value;
    try {
      localStorage.setItem(`aisle.${name}`, value);
      delete memory[name];
    } catch {}
  };
  let waiting = [], timer, guest, identity = {};

  const allowed = () => kept("consent") === "yes" || (consent === "given" && kept("consent") !== "no");
  const address = (path, query) => {
    const url = new URL(`${base}/${path}`);
    for (const [name, value] of Object.entries({ ...query, key })) if (value) url.searchParams.set(name, value);
    return url;
  };
  const call = async (path, query, body) => {
    const headers = body ? { "Content-Type": "application/json" } : {};
    if (identity.token && allowed()) headers.Authorization = `Bearer ${identity.token}`;
    const sent = body && { method: "POST", body: JSON.stringify(body), keepalive: true };
    const answer = await fetch(address(path, query), { ...sent, headers });
    if (!answer.ok) throw Object.assign(new Error(`${path}: ${answer.status}`), { status: answer.status });
    return answer.json();
  };
  const user = async () => {
    if (identity.id) return identity.id;
    if (kept("guest")) return kept("guest");
    guest ??= call("auth/guest", {}, {}).finally(() => (guest = undefined));
    const id = (await guest).user_id;
    if (allowed() && !kept("guest")) keep("guest", id);
    return kept("guest") || id;
  };

  const track = (event_type, facts = {}) => {
    if (!allowed() || waiting.length >= MOST) return;
    const { product, ...rest } = facts;
    waiting.push({
      event_type, event_id: [...crypto.getRandomValues(new Uint32Array(4))].join("-"), timestamp: new Date().toISOString(),
      ...(product !== undefined && { external_id: String(product) }), ...rest,
    });
    if (waiting.length >= LARGEST) flush();
    else timer ??= setTimeout(flush, WAIT_MS);
  };
  const named = (id, events) => ({ events: events.map((event) => ({ user_id: id, ...event })) });
  const flush = async () => {
    clearTimeout(timer);
    timer = undefined;
    let events = waiting.splice(0, LARGEST);
    if (!events.length || !allowed()) return;
    try {
      ({ events } = named(await user(), events));
      if (allowed()) await call("events/batch", {}, { events });
    } catch (error) {
      if (allowed() && (!error.status || error.status === 429 || error.status >= 500)) {
        waiting = [...events, ...waiting].slice(0, MOST);
        timer ??= setTimeout(flush, 10 * WAIT_MS);
      }
    }
    if (waiting.length) timer ??= setTimeout(flush, WAIT_MS);
  };
  const leave = () => {
    const id = identity.id ?? kept("guest");
    while (id && allowed() && waiting.length) {
      const body = JSON.stringify({ ...named(id, waiting.slice(0, LARGEST)), sent_at: new Date().toISOString() });
      if (!navigator.sendBeacon(address("events/batch"), new Blob([body], { type: "text/plain" }))) return;
      waiting.splice(0, LARGEST);
    }
  };

  const price = (product) =>
    product.currency
      ? new Intl.NumberFormat(document.documentElement.lang || undefined, {
          style: "currency", currency: product.currency,
        }).format(product.price)
      : String(product.price);
  const card = (template, product, pattern) => {
    const item = template ? template.content.cloneNode(true) : document.createDocumentFragment();
    if (!template) {
      const a = document.createElement("a");
      a.className = "aisle-product";
      for (const [tag, name] of [["img", "image"], ["span", "name"], ["span", "price"]]) {
        const part = a.appendChild(document.createElement(tag));
        part.dataset.field = name;
        part.className = `aisle-${name}`;
      }
      item.append(a);
    }
    const texts = { ...product, price: price(product), reason: product.reason?.text ?? "" };
    for (const part of item.querySelectorAll("[data-field]")) {
      if (part.dataset.field !== "image") part.textContent = texts[part.dataset.field] ?? "";
      else if (product.image_url) Object.assign(part, { src: product.image_url, alt: "", loading: "lazy" });
      else part.remove();
    }
    for (const a of item.querySelectorAll("a")) {
      a.href = pattern.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(product[name] ?? ""));
    }
    return item;
  };
  const fill = async (block) => {
    const { aisle: kind, k = "6", product, category, explain, link: pattern = link } = block.dataset;
    const [path, list = "products"] = BLOCKS[kind];
    const personal = !/popular|trending/.test(kind);
    if (personal && !allowed() && !(product && kind !== "recommendations")) return;
    const user_id = personal && allowed() && (await user());
    const answer = await call(path, { k, category, explain, external_id: product, user_id });
    const template = block.querySelector("template");
    const shown = answer[list].map((product, index) => {
      const item = card(template, product, pattern);
      for (const a of item.querySelectorAll("a")) {
        a.addEventListener("click", () => {
          if (!allowed() || !answer.recommendation_id) return;
          const { recommendation_id } = answer;
          const clicked = { recommendation_id, product_id: product.id, position: index + 1, action: "click" };
          call("recommendations/feedback", {}, clicked).catch(() => {});
        });
      }
      return item;
    });
    block.replaceChildren(...(template ? [template] : []), ...shown);
    block.hidden = !shown.length;
    block.dispatchEvent(new CustomEvent("aisle:shown", { bubbles: true, detail: answer }));
  };

  const viewed = new WeakMap();
  const scan = (root = document) => {
    for (const element of root.querySelectorAll("[data-aisle-view]")) {
      if (!allowed() || viewed.get(element) === element.dataset.aisleView) continue;
      viewed.set(element, element.dataset.aisleView);
      track("view", { product: element.dataset.aisleView });
    }
    const blocks = [...root.querySelectorAll("[data-aisle]")];
    return Promise.all(blocks.map((block) => fill(block).catch((error) => console.warn("Aisle:", error.message))));
  };
  document.addEventListener("click", (event) => {
    const element = event.target.closest?.("[data-aisle-cart],[data-aisle-wish],[data-aisle-click]");
    const { aisleCart, aisleWish, aisleClick, quantity } = element?.dataset ?? {};
    if (aisleCart) track("add_to_cart", { product: aisleCart, metadata: { quantity: Number(quantity) || 1 } });
    if (aisleWish) track("wishlist", { product: aisleWish });
    if (aisleClick) track("recommendation_click", { product: aisleClick });
  });
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && leave());
  addEventListener("pagehide", leave);

  const api = {
    consent(given) {
      keep("consent", given ? "yes" : "no");
      if (given) return scan();
      waiting = [];
      keep("guest", "");
    },
    identify(id, token) {
      leave();
      identity = id ? { id: String(id), token } : {};
      return scan();
    },
    track, scan, flush,
  };
  const early = Array.isArray(window.aisle) ? window.aisle : [];
  window.aisle = { ...api, push: ([name, ...rest]) => api[name](...rest) };
  early.forEach(window.aisle.push);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => scan());
  else scan();
})();
