/** The shopper's account: sign in or up, the profile, and what the shop has stored. */

import { Problem } from "../common/api.js";
import { Field, Icon, LanguageSwitch, ProblemNote, problemText, Segmented, SkeletonText, ThemeSwitch, toast, useLoaded } from "../common/components.js";
import { date, percent } from "../common/format.js";
import { t } from "../common/i18n.js";
import { go, link } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, useState } from "../common/view.js";
import { taste } from "./live.js";
import { api, config } from "./shop.js";
import { forgetAccount, hasProfile, shopAs, shopper, signIn, signOut } from "./shopper.js";
import { Title } from "./title.js";

export function AccountPage() {
  const who = useStore(shopper);
  return html`
    <${Title}>${t("account.title")}<//>
    <div class="row">
      <a class="button button-small" href=${link("/orders")}><${Icon} name="box" size="small" /> ${t("orders.title")}</a>
      <a class="button button-small" href=${link("/wishlist")}><${Icon} name="heart" size="small" /> ${t("wishlist.title")}</a>
    </div>
    <div class="columns">
      ${who.kind === "account"
        ? html`<${Profile} key=${who.id} />`
        : who.kind === "customer"
          ? html`<section class="panel stack">
              <h2>${t("customer.title", { id: who.id ?? "" })}</h2>
              <p class="muted">${t("customer.text")}</p>
              <div class="row">
                <button type="button" class="button" onClick=${() => shopAs(null)}>${t("customer.stop")}</button>
              </div>
            </section>`
          : html`<${SignIn} />`}
      <div class="stack">
        <${Looks} />
        ${hasProfile() ? html`<${Stored} key=${who.id} />` : null}
      </div>
    </div>
  `;
}

function Looks() {
  return html`<section class="panel stack" aria-labelledby="looks">
    <h2 id="looks">${t("account.looks")}</h2>
    <div class="row"><span class="setting">${t("common.language")}</span><${LanguageSwitch} /></div>
    <div class="row"><span class="setting">${t("common.theme")}</span><${ThemeSwitch} /></div>
  </section>`;
}

function SignIn() {
  const who = useStore(shopper);
  const [isNew, setNew] = useState(false);
  const [isSending, setSending] = useState(false);
  const [problem, setProblem] = useState(/** @type {unknown} */ (null));
  /** @param {string} name */
  const errorOf = (name) =>
    problem instanceof Problem ? problem.errors.find((error) => error.field.split(".").pop() === name)?.message : undefined;
  const isOfFields = problem instanceof Problem && problem.errors.length > 0;

  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const names = isNew ? ["username", "email", "password"] : ["email", "password"];
    setSending(true);
    setProblem(null);
    try {
      const fields = Object.fromEntries(names.map((name) => [name, String(form.get(name) ?? "")]));
      const { merged, left } = await signIn(api, isNew ? "/auth/register" : "/auth/login", fields);
      toast(left ? t("account.mergedLeft", { n: left }) : merged ? t("account.merged") : t("account.welcome"));
      go(link("/"));
    } catch (error) {
      setProblem(error);
      setSending(false);
    }
  };

  return html`<section class="panel stack" aria-labelledby="sign-in">
    <div class="row spread">
      <h2 id="sign-in">${t(isNew ? "account.signUp" : "account.signIn")}</h2>
      <${Segmented}
        name="sign"
        label=${t("account.title")}
        value=${isNew ? "up" : "in"}
        values=${[["in", t("account.signIn")], ["up", t("account.signUp")]]}
        onChange=${(/** @type {string} */ value) => {
          setNew(value === "up");
          setProblem(null);
        }}
      />
    </div>
    <p class="muted">${t(who.kind === "guest" ? "account.guestText" : "account.text")}</p>
    <form class="stack" onSubmit=${submit}>
      ${problem && !isOfFields ? html`<${ProblemNote} error=${problem} />` : null}
      ${isNew
        ? html`<${Field} name="username" label=${t("account.username")} autocomplete="username" required=${true} minlength=${3} maxlength=${50} error=${errorOf("username")} />`
        : null}
      <${Field} name="email" type="email" label=${t("account.email")} autocomplete="email" required=${true} error=${errorOf("email")} />
      <${Field}
        name="password"
        type="password"
        label=${t("account.password")}
        autocomplete=${isNew ? "new-password" : "current-password"}
        required=${true}
        minlength=${isNew ? 8 : 1}
        hint=${isNew ? t("account.passwordHint") : undefined}
        error=${errorOf("password")}
      />
      <div class="row">
        <button type="submit" class="button button-main" disabled=${isSending}>
          ${t(isNew ? "account.signUp" : "account.signIn")}
        </button>
        ${isNew ? null : html`<a class="small" href=${`${config.api}/auth/password-reset`}>${t("account.forgotten")}</a>`}
      </div>
    </form>
  </section>`;
}

function Profile() {
  const loaded = useLoaded(async (signal) => (await api.get("/users/me", {}, { signal })).body, []);
  const profile = loaded.value;
  const [isErasing, setErasing] = useState(false);
  const leave = async () => {
    await signOut();
    toast(t("account.signedOut"));
    go(link("/"));
  };
  const erase = async () => {
    try {
      await api.delete("/users/me");
      forgetAccount();
      toast(t("account.erased"));
      go(link("/"));
    } catch (error) {
      toast(problemText(error), { kind: "bad" });
    }
  };
  if (loaded.error) return html`<${ProblemNote} error=${loaded.error} onRetry=${loaded.again} />`;
  if (!profile) return html`<section class="panel"><${SkeletonText} lines=${5} /></section>`;
  return html`<section class="panel stack" aria-labelledby="profile">
    <h2 id="profile">${profile.username}</h2>
    <dl class="facts">
      <dt>${t("account.email")}</dt>
      <dd>
        ${profile.email} <span class=${profile.email_verified ? "tag tag-good" : "tag"}>
          ${t(profile.email_verified ? "account.verified" : "account.unverified")}
        </span>
      </dd>
      <dt>${t("account.since")}</dt>
      <dd>${date(profile.registered_at ?? profile.created_at, config.time_zone)}</dd>
    </dl>
    <div class="row">
      <button type="button" class="button button-small" onClick=${leave}>${t("account.signOut")}</button>
    </div>
    ${isErasing
      ? html`<div class="note note-bad">
          <div class="note-body">
            <p>${t("account.eraseSure")}</p>
            <div class="row">
              <button type="button" class="button button-small button-bad" onClick=${erase}>${t("account.erase")}</button>
              <button type="button" class="button button-small" onClick=${() => setErasing(false)}>${t("common.cancel")}</button>
            </div>
          </div>
        </div>`
      : html`<button type="button" class="text-button small" onClick=${() => setErasing(true)}>${t("account.erase")}</button>`}
  </section>`;
}

/** What the shop has derived from the shopper's actions, and their searches. */
function Stored() {
  const likings = useStore(taste) ?? [];
  const searches = useLoaded(
    async (signal) => (await api.get("/users/me/search-history", { page_size: 20 }, { signal })).body.searches,
    [],
  );
  const clear = async () => {
    try {
      await api.delete("/users/me/search-history");
      toast(t("searches.cleared"));
      searches.again();
    } catch (error) {
      toast(problemText(error), { kind: "bad" });
    }
  };
  const past = /** @type {{query: string}[]} */ (searches.value ?? []);
  return html`
    <section class="panel stack" aria-labelledby="taste">
      <h2 id="taste">${t("account.taste")}</h2>
      ${likings.length
        ? html`<ul class="chips">
            ${likings.slice(0, 12).map(
              ({ key, name, share }) => html`<li class="chip" key=${key}>${name} <span class="muted figure">${percent(share)}</span></li>`,
            )}
          </ul>`
        : html`<p class="muted">${t("live.noTaste")}</p>`}
    </section>
    <section class="panel stack" aria-labelledby="searches">
      <h2 id="searches">${t("search.recent")}</h2>
      ${searches.error ? html`<${ProblemNote} error=${searches.error} onRetry=${searches.again} />` : null}
      ${past.length
        ? html`<ul class="chips">
              ${past.map(({ query }) => html`<li key=${query}><a class="chip" href=${link("/search", { q: query })}>${query}</a></li>`)}
            </ul>
            <button type="button" class="text-button small" onClick=${clear}>${t("searches.clear")}</button>`
        : html`<p class="muted">${t("searches.empty")}</p>`}
    </section>
  `;
}
