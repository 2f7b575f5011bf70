/**
 * Texts in the person's language. Each page has a module of texts for each language (`texts/en.js`, `texts/de.js`), apart
 * from its code; only the chosen language is loaded.
 *
 * A text may have parameters (`{name}`), and forms by number: `{one: "{n} item", other: "{n} items"}`, of which the
 * parameter `n` chooses (Intl.PluralRules).
 */

import { lasting } from "./storage.js";
import { createStore } from "./store.js";

/** @typedef {string | Partial<Record<Intl.LDMLPluralRule, string>>} Text */
/** @typedef {Record<string, Text>} Texts */
/**
 * The type of a translation: the same keys as another language's texts.
 *
 * @template {Texts} T
 * @typedef {{[K in keyof T]: Text}} TextsLike
 */
/** @typedef {(language: string) => Promise<{default: Texts}>} TextLoader */

/** Languages with texts, by their own names. */
export const LANGUAGES = /** @type {const} */ ({ en: "English", de: "Deutsch" });
const NAMES = /** @type {Record<string, string>} */ ({ english: "en", german: "de" });
const KEY = "aisle.language";

/** @type {import("./store.js").Store<string>} */
export const language = createStore("en");
/** @type {Texts} */
let texts = {};
/** @type {TextLoader[]} */
let loaders = [];

/** @param {string | null | undefined} tag @returns {string | null} a language with texts */
function supported(tag) {
  const base = (NAMES[(tag ?? "").toLowerCase()] ?? tag ?? "").split("-")[0]?.toLowerCase() ?? "";
  return base in LANGUAGES ? base : null;
}

/**
 * Loads the texts: in the language that the person chose, otherwise in the browser's, otherwise in the shop's.
 *
 * @param {TextLoader[]} textLoaders of the parts that a page consists of; later ones win
 * @param {string | null} shopLanguage
 */
export async function startTexts(textLoaders, shopLanguage = null) {
  loaders = textLoaders;
  const wanted = [lasting.read(KEY), ...navigator.languages, shopLanguage, "en"].map(supported).find(Boolean);
  await load(wanted ?? "en");
}

/** @param {string} wanted */
export async function chooseLanguage(wanted) {
  lasting.write(KEY, wanted);
  await load(wanted);
}

/** @param {string} wanted */
async function load(wanted) {
  const found = await Promise.all(loaders.map((loader) => loader(wanted)));
  texts = Object.assign({}, ...found.map((module) => module.default));
  document.documentElement.lang = wanted;
  language.set(wanted);
}

/** @type {Map<string, Intl.PluralRules>} */
const rules = new Map();

/**
 * Returns a text. A key without a text is returned itself, so that a page shows where a text is missing.
 *
 * @param {string} key
 * @param {Record<string, string | number>} [parameters]
 */
export function t(key, parameters = {}) {
  const text = texts[key];
  if (text === undefined) return key;
  const tag = language.get();
  let pattern = text;
  if (typeof pattern !== "string") {
    let rule = rules.get(tag);
    if (!rule) rules.set(tag, (rule = new Intl.PluralRules(tag)));
    pattern = pattern[rule.select(Number(parameters.n))] ?? pattern.other ?? key;
  }
  return pattern.replace(/\{(\w+)\}/g, (hole, name) => {
    const value = parameters[name];
    return value === undefined ? hole : typeof value === "number" ? value.toLocaleString(tag) : value;
  });
}

/** @param {string} key whether the language has a text of it */
export function hasText(key) {
  return key in texts;
}
