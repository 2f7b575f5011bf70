/** Numbers, prices and times as the person's language writes them. */

import { language } from "./i18n.js";

/** @type {Map<string, Intl.NumberFormat>} */
const numbers = new Map();

/** @param {Intl.NumberFormatOptions} options */
function numberFormat(options) {
  const key = language.get() + JSON.stringify(options);
  let found = numbers.get(key);
  if (!found) numbers.set(key, (found = new Intl.NumberFormat(language.get(), options)));
  return found;
}

/**
 * Returns a price with its currency; without a currency, a number with two decimals.
 *
 * @param {number} amount
 * @param {string | null} currency ISO 4217
 */
export function money(amount, currency) {
  const twoDecimals = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  if (!currency) return numberFormat(twoDecimals).format(amount);
  try {
    return numberFormat({ style: "currency", currency, currencyDisplay: "narrowSymbol" }).format(amount);
  } catch {
    // not a code of three letters
    return `${numberFormat(twoDecimals).format(amount)} ${currency}`;
  }
}

/** @param {number} value @param {number} [decimals] */
export function number(value, decimals = 0) {
  return numberFormat({ maximumFractionDigits: decimals, minimumFractionDigits: decimals }).format(value);
}

/** @param {number} share from 0 to 1 @param {number} [decimals] */
export function percent(share, decimals = 0) {
  return numberFormat({ style: "percent", maximumFractionDigits: decimals }).format(share);
}

/** @param {number} ms */
export function milliseconds(ms) {
  if (ms >= 10_000) return `${number(ms / 1000)} s`;
  if (ms >= 1000) return `${number(ms / 1000, 1)} s`;
  return `${number(ms, ms < 10 ? 1 : 0)} ms`;
}

/**
 * @param {string | number | Date} moment
 * @param {Intl.DateTimeFormatOptions} [options]
 * @param {string} [timeZone] IANA name; the browser's if omitted
 */
export function dateTime(moment, options = { dateStyle: "medium", timeStyle: "short" }, timeZone) {
  return new Intl.DateTimeFormat(language.get(), { ...options, timeZone }).format(new Date(moment));
}

/** @param {string | number | Date} moment @param {string} [timeZone] */
export function date(moment, timeZone) {
  return dateTime(moment, { dateStyle: "medium" }, timeZone);
}

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [["year", 31_557_600], ["month", 2_629_800], ["day", 86_400], ["hour", 3600], ["minute", 60]];

/** Returns how long ago a moment was, such as "3 days ago". @param {string | number | Date} moment */
export function ago(moment) {
  const seconds = (new Date(moment).getTime() - Date.now()) / 1000;
  const format = new Intl.RelativeTimeFormat(language.get(), { numeric: "auto" });
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return format.format(Math.trunc(seconds / length), unit);
  }
  return format.format(Math.trunc(seconds), "second");
}

/**
 * Returns a name to show. Many shops keep their names in capitals; those of several words are shown in title case, words
 * with digits excepted.
 *
 * @param {string | null | undefined} name
 */
export function displayName(name) {
  const text = name ?? "";
  if (!/\s/.test(text) || text !== text.toUpperCase() || text === text.toLowerCase()) return text;
  return text.replace(/[\p{L}\p{N}'’]+/gu, (word) =>
    /\p{N}/u.test(word) ? word.replace(/['’]S$/, (ending) => ending.toLowerCase()) : word.charAt(0) + word.slice(1).toLowerCase(),
  );
}
