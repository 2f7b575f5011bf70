"use client";
// Consent, tracking and recommendations for the pages of a Next.js shop. README.md says how they fit together.

import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { Aisle, EventQueue, Problem, type Event, type RankedProduct, type Recommendations as Answer } from "aisle-client";

/** What a card shows. Products of every answer of the API have these fields. */
export type CardProduct = Pick<RankedProduct, "id" | "external_id" | "name" | "price" | "currency" | "image_url"> & {
  reason?: RankedProduct["reason"];
};
type Facts = Omit<Event, "user_id">;
type Visitor = { userId: string; shop: Aisle };

const CONSENT = "shop.consent";
const GUEST = "shop.guest";

interface Shop {
  /** Whether the visitor allowed tracking; null until they decided. */
  consent: boolean | null;
  decide: (allowed: boolean) => void;
  /** The visitor, once there is consent. */
  visitor: Visitor | null;
  /** Reports what the visitor did; without consent it does nothing. */
  report: (facts: Facts) => void;
}

const Context = createContext<Shop | null>(null);

export function useShop(): Shop {
  const shop = useContext(Context);
  if (shop === null) throw new Error("useShop needs an AisleProvider around it.");
  return shop;
}

/** A browser may refuse to store anything. Then a visitor is new on every page. */
function stored(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function store(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // as above
  }
}

/** Puts the visitor into the reach of the pages. `url` is the public address of Aisle, `apiKey` a publishable key. */
export function AisleProvider({ url, apiKey, children }: { url: string; apiKey?: string; children: ReactNode }) {
  // null in the first rendering, as on the server: the browser's storage is read afterwards, or the two would differ
  const [consent, setConsent] = useState<boolean | null>(null);
  const [visitor, setVisitor] = useState<Visitor | null>(null);
  const queue = useRef<EventQueue | null>(null);
  const waiting = useRef<Facts[]>([]);

  useEffect(() => {
    const decision = stored(CONSENT);
    if (decision !== null) setConsent(decision === "yes");
  }, []);

  useEffect(() => {
    if (!consent) return;
    let isCurrent = true;
    const shop = new Aisle(url, { apiKey });
    // The id of a guest suffices for events and recommendations, so its token need not be kept.
    const known = stored(GUEST);
    const guest = known === null ? shop.createGuest().then((pair) => pair.user_id) : Promise.resolve(known);
    guest.then(
      (userId) => {
        if (!isCurrent) return;
        store(GUEST, userId);
        queue.current = new EventQueue(shop);
        for (const facts of waiting.current.splice(0)) queue.current.add({ ...facts, user_id: userId });
        setVisitor({ userId, shop });
      },
      // without Aisle the shop goes on: what the server rendered stays
      () => undefined,
    );
    // a page that is left may not come back
    const leave = () => void queue.current?.flush();
    addEventListener("pagehide", leave);
    return () => {
      isCurrent = false;
      removeEventListener("pagehide", leave);
      leave();
      queue.current = null;
    };
  }, [consent, url, apiKey]);

  const decide = useCallback((allowed: boolean) => {
    store(CONSENT, allowed ? "yes" : "no");
    if (!allowed) {
      store(GUEST, null);
      waiting.current = [];
      setVisitor(null);
    }
    setConsent(allowed);
  }, []);

  const report = useCallback(
    (facts: Facts) => {
      if (!consent) return;
      if (queue.current !== null && visitor !== null) queue.current.add({ ...facts, user_id: visitor.userId });
      else waiting.current.push(facts);
    },
    [consent, visitor],
  );

  const shop = useMemo(() => ({ consent, decide, visitor, report }), [consent, decide, visitor, report]);
  return <Context.Provider value={shop}>{children}</Context.Provider>;
}

/** Asks once. Nothing is stored or sent before the answer. */
export function ConsentBanner() {
  const { consent, decide } = useShop();
  if (consent !== null) return null;
  return (
    <section aria-label="Consent">
      <p>May we remember what you look at, to recommend what fits?</p>
      <button type="button" onClick={() => decide(true)}>Yes</button>
      <button type="button" onClick={() => decide(false)}>No</button>
    </section>
  );
}

/** Reports that the visitor sees a product's page. */
export function TrackView({ externalId }: { externalId: string }) {
  const { consent, report } = useShop();
  useEffect(() => {
    if (consent) report({ external_id: externalId, event_type: "view" });
    // not again when the visitor becomes known: the view waits for that
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [consent, externalId]);
  return null;
}

/** A price as the visitor's language writes it. */
function price(product: CardProduct, locale: string): string {
  const { currency } = product;
  const style = currency ? ({ style: "currency", currency } as const) : ({ minimumFractionDigits: 2 } as const);
  return new Intl.NumberFormat(locale, style).format(product.price);
}

/**
 * A list of recommendations.
 *
 * `initial` is what the server rendered for everybody (server.ts). With consent the visitor's own list takes its place;
 * without, or while Aisle does not answer, it stays.
 */
export function Recommendations({ title, initial, externalId, k = 6, locale = "en", href }: {
  title: string;
  initial: CardProduct[];
  /** The product of the page, whose list it is. */
  externalId?: string;
  k?: number;
  locale?: string;
  href: (product: CardProduct) => string;
}) {
  const { visitor } = useShop();
  const [answer, setAnswer] = useState<Answer | null>(null);

  useEffect(() => {
    setAnswer(null);
    if (visitor === null) return;
    const stop = new AbortController();
    visitor.shop
      .getRecommendations(
        { user_id: visitor.userId, external_id: externalId, k, explain: true },
        { signal: stop.signal },
      )
      .then(setAnswer, (error: unknown) => {
        // a guest that was erased is none any more; the next page has a new one
        if (error instanceof Problem && error.status === 401) store(GUEST, null);
      });
    return () => stop.abort();
  }, [visitor, externalId, k]);

  const products: CardProduct[] = answer?.recommendations.length ? answer.recommendations : initial;
  if (!products.length) return null;
  const clicked = (product: CardProduct, position: number) => {
    if (visitor === null || answer === null) return;
    const click = { recommendation_id: answer.recommendation_id, product_id: product.id, action: "click", position } as const;
    visitor.shop.sendFeedback(click).catch(() => undefined);
  };
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      <ul>
        {products.map((product, index) => (
          <li key={product.id}>
            <a href={href(product)} onClick={() => clicked(product, index + 1)}>
              {product.image_url ? <img src={product.image_url} alt="" loading="lazy" /> : null}
              <span>{product.name}</span> <span>{price(product, locale)}</span>
            </a>
            {product.reason ? <p>{product.reason.text}</p> : null}
          </li>
        ))}
      </ul>
    </section>
  );
}
