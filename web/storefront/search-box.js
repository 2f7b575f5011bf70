/** The search field of the header, with suggestions while typing and the shopper's last searches before. */

import { Icon } from "../common/components.js";
import { displayName } from "../common/format.js";
import { t } from "../common/i18n.js";
import { go, link, route } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, useEffect, useRef, useState } from "../common/view.js";
import { api } from "./shop.js";
import { hasProfile, shopper } from "./shopper.js";

/** Milliseconds without a keystroke before suggestions are read. */
const STILL_MS = 120;
const MOST = 8;

/** @typedef {{kind: "query" | "category" | "product" | "past", text: string, product_id?: number | null}} Suggestion */

/** Searches of this page, of shoppers whose history cannot be read. @type {string[]} */
const searchedHere = [];
shopper.watch(() => searchedHere.splice(0));

/** @param {string} text */
export function rememberSearch(text) {
  const known = searchedHere.indexOf(text);
  if (known >= 0) searchedHere.splice(known, 1);
  searchedHere.unshift(text);
}

/** @param {AbortSignal} signal @returns {Promise<Suggestion[]>} */
async function pastSearches(signal) {
  const texts = hasProfile()
    ? (await api.get("/users/me/search-history", { page_size: 6 }, { signal })).body.searches.map(
        (/** @type {any} */ search) => search.query,
      )
    : searchedHere.slice(0, 6);
  return texts.map((/** @type {string} */ text) => ({ kind: "past", text }));
}

/** @param {string} text @param {AbortSignal} signal @returns {Promise<Suggestion[]>} */
async function suggestions(text, signal) {
  return (await api.get("/products/suggest", { q: text, k: MOST }, { signal, anonymous: true })).body.suggestions;
}

/** @param {Suggestion} suggestion */
function addressOf(suggestion) {
  if (suggestion.kind === "product") return link(`/product/${suggestion.product_id}`);
  if (suggestion.kind === "category") return link("/search", { category: suggestion.text });
  return link("/search", { q: suggestion.text });
}

const ICONS = { query: "search", category: "filter", product: "right", past: "clock" };

export function SearchBox() {
  const address = useStore(route);
  const shown = address.path === "/search" ? (address.query.get("q") ?? "") : "";
  const [text, setText] = useState(shown);
  const [isOpen, setOpen] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const [found, setFound] = useState(/** @type {Suggestion[]} */ ([]));
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));

  useEffect(() => setText(shown), [shown]);
  useEffect(() => {
    if (!isOpen) return undefined;
    const controller = new AbortController();
    const typed = text.trim();
    const timer = setTimeout(() => {
      const reading = typed ? suggestions(typed, controller.signal) : pastSearches(controller.signal);
      reading.then(
        (next) => {
          if (controller.signal.aborted) return;
          setFound(next);
          setChosen(-1);
        },
        // the field works without suggestions
        () => controller.signal.aborted || setFound([]),
      );
    }, typed ? STILL_MS : 0);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [text, isOpen]);

  const isShown = isOpen && found.length > 0;

  /** @param {string} target */
  const leave = (target) => {
    setOpen(false);
    setChosen(-1);
    input.current?.blur();
    go(target);
  };

  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    const suggestion = isShown ? found[chosen] : undefined;
    leave(suggestion ? addressOf(suggestion) : link("/search", { q: text.trim() }));
  };

  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (event.key === "Escape") {
      if (isOpen) event.preventDefault();
      setOpen(false);
      setChosen(-1);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isShown) setOpen(true);
      else {
        const step = event.key === "ArrowDown" ? 1 : -1;
        // one place more than suggestions: the field itself
        setChosen(((chosen + 1 + step + found.length + 1) % (found.length + 1)) - 1);
      }
    }
  };

  return html`<form class="search-box" role="search" onSubmit=${submit}>
    <${Icon} name="search" />
    <input
      ref=${input}
      type="search"
      name="q"
      role="combobox"
      aria-label=${t("search.label")}
      aria-expanded=${isShown}
      aria-controls="suggestions"
      aria-autocomplete="list"
      aria-activedescendant=${isShown && chosen >= 0 ? `suggestion-${chosen}` : undefined}
      placeholder=${t("search.placeholder")}
      autocomplete="off"
      autocapitalize="off"
      spellcheck="false"
      enterkeyhint="search"
      maxlength="200"
      value=${text}
      onInput=${(/** @type {any} */ event) => {
        setText(event.currentTarget.value);
        setOpen(true);
      }}
      onFocus=${() => setOpen(true)}
      onBlur=${() => setOpen(false)}
      onKeyDown=${onKeyDown}
    />
    <div class=${isShown ? "suggestions" : "suggestions is-closed"}>
      ${isShown && found[0]?.kind === "past" ? html`<p class="eyebrow" id="suggestions-title">${t("search.recent")}</p>` : null}
      <ul id="suggestions" class="suggestion-list" role="listbox" aria-label=${t("search.suggestions")}>
        ${isShown
          ? found.map(
              (suggestion, index) => html`<li
                key=${`${suggestion.kind} ${suggestion.text} ${suggestion.product_id ?? ""}`}
                id=${`suggestion-${index}`}
                role="option"
                aria-selected=${index === chosen}
                class=${index === chosen ? "is-chosen" : ""}
                onMouseDown=${(/** @type {Event} */ event) => {
                  // before the field loses the focus and closes the list
                  event.preventDefault();
                  leave(addressOf(suggestion));
                }}
              >
                <${Icon} name=${ICONS[suggestion.kind]} size="small" />
                <span>${suggestion.kind === "product" ? displayName(suggestion.text) : suggestion.text}</span>
                ${suggestion.kind === "category" ? html`<span class="small muted">${t("search.inCategory")}</span>` : null}
              </li>`,
            )
          : null}
      </ul>
    </div>
  </form>`;
}
