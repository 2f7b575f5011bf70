/** The console: login, navigation and the views by their addresses. */

import { readConfig } from "../common/api.js";
import { Dialog, Field, Icon, IconButton, LanguageSwitch, problemText, ProblemNote, Spinner, ThemeSwitch, Toasts } from "../common/components.js";
import { language, startTexts, t } from "../common/i18n.js";
import { link, route } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, render, useEffect, useState } from "../common/view.js";
import { Catalog } from "./catalog.js";
import { Models, Reports } from "./models.js";
import { Operations } from "./operations.js";
import { Overview } from "./overview.js";
import { PageHead, Tabs } from "./parts.js";
import { AuditLog, Keys, Own, People } from "./people.js";
import { Preview } from "./preview.js";
import { Rules } from "./rules.js";
import { Search, Segments } from "./segments.js";
import { logIn, logOut, NotStaff, person, resume, shop, startSession } from "./session.js";

/** The places of the navigation: address, text, icon, and whether support has no access. @type {[string, string, string, boolean?][]} */
const PLACES = [
  ["/", "nav.overview", "pulse"],
  ["/operations", "nav.operations", "check"],
  ["/recommendations", "nav.recommendations", "heart"],
  ["/catalog", "nav.catalog", "box"],
  ["/people", "nav.people", "people"],
  ["/audit", "nav.audit", "clock", true],
  ["/keys", "nav.keys", "external", true],
];

/** @param {{parts: string[]}} props */
function Recommendations({ parts }) {
  const tab = parts[0] ?? "preview";
  const views = { preview: Preview, models: Models, reports: Reports, rules: Rules, segments: Segments, search: Search };
  const View = Object.hasOwn(views, tab) ? views[/** @type {keyof typeof views} */ (tab)] : Preview;
  return html`
    <${PageHead} title=${t("recommendations.title")} text=${t("recommendations.text")} />
    <${Tabs} label=${t("recommendations.title")} current=${`/recommendations/${tab}`}
      tabs=${Object.keys(views).map((name) => [`/recommendations/${name}`, t(`recommendations.${name}`)])} />
    <${View} />
  `;
}

/** @param {{parts: string[]}} props */
function View({ parts }) {
  const [first = "", ...rest] = parts;
  switch (first) {
    case "": return html`<${Overview} />`;
    case "operations": return html`<${Operations} parts=${rest} />`;
    case "recommendations": return html`<${Recommendations} parts=${rest} />`;
    case "catalog": return html`<${Catalog} parts=${rest} />`;
    case "people": return html`<${People} />`;
    case "audit": return html`<${AuditLog} />`;
    case "keys": return html`<${Keys} />`;
    case "own": return html`<${Own} />`;
    default: return html`<${PageHead} title=${t("missing.title")} text=${t("missing.text")} /><p><a class="button" href="#/">${t("nav.overview")}</a></p>`;
  }
}

function Frame() {
  const { parts, path } = useStore(route);
  const who = useStore(person);
  const { name } = useStore(shop);
  const [isOpen, setOpen] = useState(false);
  useStore(language);
  const place = `/${parts[0] ?? ""}`;
  useEffect(() => {
    setOpen(false);
    const title = document.getElementById("page-title");
    document.title = title ? `${title.textContent} · ${name}` : name;
    // a new place begins at its top, and its title is what screen readers hear
    scrollTo(0, 0);
    title?.focus({ preventScroll: true });
  }, [place, name]);
  const places = PLACES.filter(([, , , isAdmins]) => who?.role === "admin" || !isAdmins);
  const navigation = html`<nav class="places" aria-label=${t("nav.label")}>
    ${places.map(
      ([address, text, icon]) => html`<a key=${address} href=${link(address)} aria-current=${address === place ? "page" : undefined} onClick=${() => setOpen(false)}>
        <${Icon} name=${icon} /> ${t(text)}
      </a>`,
    )}
  </nav>`;
  const foot = html`<div class="side-foot">
    <a class="who" href="#/own"><${Icon} name="person" /><span><strong>${who?.username ?? who?.email}</strong><span class="small muted">${t(`role.${who?.role}`)}</span></span></a>
    <${ThemeSwitch} /><${LanguageSwitch} />
    <button type="button" class="button button-small button-wide" onClick=${() => logOut()}>${t("nav.log-out")}</button>
  </div>`;
  return html`
    <a class="skip-link" href="#main" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>${t("nav.skip")}</a>
    <header class="top"><${IconButton} icon="filter" label=${t("nav.label")} expanded=${isOpen} onClick=${() => setOpen(true)} /><span class="brand">${name}</span></header>
    <aside class="side"><a class="brand" href="#/">${name}<span class="small muted">${t("nav.console")}</span></a>${navigation}${foot}</aside>
    <${Dialog} title=${name} isOpen=${isOpen} onClose=${() => setOpen(false)}>${navigation}${foot}<//>
    <main id="main" class="main" tabindex="-1" key=${path.split("/").slice(0, 2).join("/")}><${View} parts=${parts} /></main>
  `;
}

function Login() {
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  useStore(language);
  useEffect(() => { document.title = t("login.title"); }, []);
  /** @param {any} event */
  async function submit(event) {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    setBusy(true);
    setError("");
    try {
      await logIn(String(data.get("email")).trim(), String(data.get("password")));
    } catch (problem) {
      setError(problem instanceof NotStaff ? t("login.not-staff") : problemText(problem));
      setBusy(false);
    }
  }
  return html`<main class="login">
    <form class="panel stack" onSubmit=${submit}>
      <div><p class="eyebrow">Aisle</p><h1>${t("login.title")}</h1><p class="muted">${t("login.text")}</p></div>
      <${Field} label=${t("login.email")} name="email" type="email" autocomplete="username" required />
      <${Field} label=${t("login.password")} name="password" type="password" autocomplete="current-password" required />
      ${error ? html`<p class="wrong" role="alert">${error}</p>` : null}
      <button type="submit" class="button button-main button-wide" disabled=${isBusy}>${isBusy ? t("login.busy") : t("login.log-in")}</button>
      <p class="small muted">${t("login.lost")} <a href="/auth/password-reset">${t("login.reset")}</a></p>
    </form>
    <div class="row login-foot"><${LanguageSwitch} /><${ThemeSwitch} /></div>
  </main>`;
}

function App() {
  const who = useStore(person);
  const [error, setError] = useState(/** @type {unknown} */ (null));
  /** Finds out who is logged in. */
  function begin() {
    setError(null);
    resume().catch((problem) => (problem instanceof NotStaff ? person.set(null) : setError(problem)));
  }
  useEffect(begin, []);
  return html`
    ${who === undefined
      ? html`<main class="login">${error ? html`<${ProblemNote} error=${error} onRetry=${begin} />` : html`<${Spinner} />`}</main>`
      : who === null ? html`<${Login} />` : html`<${Frame} />`}
    <${Toasts} />
  `;
}

/** Reads what the page needs, and shows it; the console works without the shop's settings too. */
async function start() {
  const config = await readConfig().catch(() => null);
  startSession(config?.api ?? "");
  await startTexts([(tag) => import(`../common/texts/${tag}.js`), (tag) => import(`./texts/${tag}.js`)], config?.language ?? null);
  render(html`<${App} />`, /** @type {Element} */ (document.getElementById("app")));
}
void start();
