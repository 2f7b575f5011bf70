/**
 * Charts: lines or bars over days or minutes, drawn by uPlot, which is loaded with the first chart. Every chart has its unit, its time
 * zone, a legend of text, and its numbers as a table for those who cannot see it.
 */

import { language, t } from "../common/i18n.js";
import { useStore } from "../common/store.js";
import { html, useEffect, useRef, useState } from "../common/view.js";

/** @typedef {{label: string, values: (number | null)[], colour: "accent" | "warm" | "soft"}} Series */

const DAY_S = 86_400;
const MINUTE_S = 60;
const HEIGHT = 220;

/** @param {string} name */
function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
const COLOURS = { accent: "--accent", warm: "--warm", soft: "--ink-faint" };

/** Returns the colours that hold, and draws again when they change. */
function useTheme() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "light");
  useEffect(() => {
    const observer = new MutationObserver(() => setTheme(document.documentElement.dataset.theme ?? "light"));
    observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => observer.disconnect();
  }, []);
  return theme;
}

/** @param {string} day YYYY-MM-DD @param {Intl.DateTimeFormatOptions} [options] */
export function dayText(day, options = { day: "numeric", month: "short" }) {
  return new Intl.DateTimeFormat(language.get(), { ...options, timeZone: "UTC" }).format(new Date(`${day}T00:00:00Z`));
}

/** @param {number} seconds since 1970 @param {string | undefined} zone */
function timeText(seconds, zone) {
  return new Intl.DateTimeFormat(language.get(), { hour: "2-digit", minute: "2-digit", timeZone: zone }).format(new Date(seconds * 1000));
}

/**
 * @param {{title: string, unit: string, zone?: string, x: (string | number)[], xLabel?: string, series: Series[],
 *   format: (value: number) => string, bars?: boolean, isTimes?: boolean}} props `x` are days (YYYY-MM-DD), numbers, or
 *   with `isTimes` seconds since 1970, which are shown as times of day in `zone`
 */
export function Chart({ title, unit, zone, x, xLabel, series, format, bars = false, isTimes = false }) {
  const frame = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [at, setAt] = useState(/** @type {number | null} */ (null));
  const theme = useTheme();
  const tag = useStore(language);
  const isDays = typeof x[0] === "string";
  const xs = x.map((value) => (typeof value === "string" ? Date.parse(`${value}T00:00:00Z`) / 1000 : value));
  const data = [xs, ...series.map((line) => line.values)];
  /** The plot that is drawn, and the newest data, which are also those of a plot that is still being loaded. */
  const drawn = useRef(/** @type {{plot: any, data: (number | null)[][]}} */ ({ plot: null, data }));
  drawn.current.data = data;
  const key = JSON.stringify(data);
  // new data change the plot in place, so that nothing flickers and the pointer keeps its place
  useEffect(() => drawn.current.plot?.setData(drawn.current.data), [key]);
  const looks = JSON.stringify([isDays, isTimes, zone, bars, x.length === 0, series.map((line) => [line.label, line.colour])]);
  useEffect(() => {
    const parent = frame.current;
    if (!parent || x.length === 0) return;
    let ended = false;
    const resize = new ResizeObserver(() => drawn.current.plot?.setSize({ width: parent.clientWidth, height: HEIGHT }));
    import("../vendor/uplot.js").then((library) => {
      if (ended) return;
      // the library has no types of its own
      const uPlot = /** @type {any} */ (library.default);
      const axis = { stroke: token("--ink-faint"), font: `12px ${token("--sans")}`, grid: { stroke: token("--line"), width: 1 }, ticks: { show: false } };
      const options = {
        width: parent.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
        padding: [12, 24, 0, 0],
        scales: {
          x: { time: false, range: (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) => {
            const margin = bars || low === high ? (isDays ? DAY_S : 1) * 0.6 : 0;
            return [low - margin, high + margin];
          } },
          y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ high) => [0, high > 0 ? high * 1.12 : 1] },
        },
        axes: [
          { ...axis, grid: { show: false }, size: 34, space: 64, incrs: isDays ? [1, 2, 3, 7, 14].map((days) => days * DAY_S) : isTimes ? [5, 10, 15, 30].map((minutes) => minutes * MINUTE_S) : [1, 2, 5, 10],
            values: (/** @type {any} */ _, /** @type {number[]} */ ticks) =>
              ticks.map((tick) => (isDays ? dayText(new Date(tick * 1000).toISOString().slice(0, 10)) : isTimes ? timeText(tick, zone) : format0(tick))) },
          { ...axis, size: 64, space: 40, values: (/** @type {any} */ _, /** @type {number[]} */ ticks) => ticks.map(format) },
        ],
        series: [
          {},
          ...series.map((line) => {
            const stroke = token(COLOURS[line.colour]);
            const shared = { label: line.label, stroke, width: 2, points: { show: (/** @type {any} */ self) => self.data[0].length < 3 } };
            if (!bars) return { ...shared, fill: `${stroke}14` };
            return { ...shared, width: 0, fill: stroke, points: { show: false }, paths: uPlot.paths.bars({ size: [0.62, 40], radius: 0.15 }) };
          }),
        ],
        hooks: { setCursor: [(/** @type {any} */ self) => setAt(self.cursor.idx ?? null)] },
      };
      drawn.current.plot = new uPlot(options, drawn.current.data, parent);
      resize.observe(parent);
    });
    return () => {
      ended = true;
      resize.disconnect();
      drawn.current.plot?.destroy();
      drawn.current.plot = null;
    };
  }, [looks, theme, tag]);
  /** @param {string | number} value */
  const name = (value) => (typeof value === "string" ? dayText(value, { dateStyle: "medium" }) : isTimes ? timeText(value, zone) : `${xLabel} ${format0(value)}`);
  const shown = at !== null && at < x.length ? at : x.length - 1;
  return html`<figure class="chart">
    <figcaption class="chart-legend small">
      <span class="muted">${x[shown] === undefined ? "" : name(x[shown])}</span>
      ${series.map(
        (line) => html`<span class="chart-key" key=${line.label}>
          <span class=${`swatch swatch-${line.colour}`} aria-hidden="true"></span>${line.label}
          <strong class="figure">${line.values[shown] === null || line.values[shown] === undefined ? "–" : format(/** @type {number} */ (line.values[shown]))}</strong>
        </span>`,
      )}
    </figcaption>
    <div class="chart-plot" ref=${frame} aria-hidden="true"></div>
    <p class="chart-note small muted">${zone ? t(isTimes ? "chart.unit-times" : "chart.unit-zone", { unit, zone }) : t("chart.unit", { unit })}</p>
    <div class="visually-hidden">
      <table>
        <caption>${title}, ${unit}</caption>
        <thead><tr><th scope="col">${xLabel ?? t("chart.day")}</th>${series.map((line) => html`<th scope="col" key=${line.label}>${line.label}</th>`)}</tr></thead>
        <tbody>
          ${x.map(
            (value, row) => html`<tr key=${value}>
              <th scope="row">${name(value)}</th>
              ${series.map((line) => html`<td key=${line.label}>${line.values[row] === null || line.values[row] === undefined ? "–" : format(/** @type {number} */ (line.values[row]))}</td>`)}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </figure>`;
}

/** @param {number} value */
function format0(value) {
  return value.toLocaleString(language.get(), { maximumFractionDigits: 1 });
}

/** A share as a bar with its number. @param {{share: number, label: string, colour?: "accent" | "warm"}} props */
export function ShareBar({ share, label, colour = "accent" }) {
  const width = `${Math.round(Math.max(0, Math.min(1, share)) * 1000) / 10}%`;
  return html`<span class="share" role="img" aria-label=${label}>
    <span class=${`share-fill swatch-${colour}`} style=${{ width }}></span>
  </span>`;
}
