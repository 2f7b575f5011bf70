/** Accounts, roles, and personal data at a person's request; the audit log; API keys; one's own account. */

import { Dialog, Field, Note, Segmented, problemText } from "../common/components.js";
import { t } from "../common/i18n.js";
import { useStore } from "../common/store.js";
import { html, useState } from "../common/view.js";
import { Card, ConfirmButton, Json, Nothing, PageHead, Pages, Shown, State, Table, useAction, usePolled, when } from "./parts.js";
import { api, changePassword, mayWrite, person } from "./session.js";

const ROLES = ["user", "support", "admin"];

export function People() {
  const [email, setEmail] = useState("");
  const [search, setSearch] = useState("");
  const [role, setRole] = useState("");
  const [page, setPage] = useState(1);
  const [chosen, setChosen] = useState(/** @type {any} */ (null));
  const accounts = usePolled("/admin/users", { email: search, role, page, page_size: 25 });
  return html`
    <${PageHead} title=${t("people.title")} text=${t("people.text")} />
    <${Card} title=${t("people.accounts")} tools=${html`<${Segmented} name="role" label=${t("people.role")} value=${role} values=${[["", t("people.all")], ...ROLES.map((name) => [name, t(`role.${name}`)])]} onChange=${(/** @type {string} */ next) => { setRole(next); setPage(1); }} />`}>
      <form class="form-row" role="search" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); setSearch(email.trim()); setPage(1); }}>
        <${Field} label=${t("people.email")} name="email" type="search" value=${email} onInput=${setEmail} hint=${t("people.email.hint")} autocomplete="off" />
        <button type="submit" class="button button-main">${t("catalog.find")}</button>
      </form>
      <${Shown} of=${accounts} lines=${8}>${(/** @type {any} */ found) => html`
        <p class="muted small" role="status">${t("people.found", { n: found.total })}</p>
        <${Table} label=${t("people.accounts")} rows=${found.users} rowKey=${(/** @type {any} */ row) => row.user_id}
          empty=${html`<${Nothing} icon="people" title=${t("people.none")} text=${t("people.none.text")} />`}
          columns=${[
            { title: t("people.person"), long: true, cell: (/** @type {any} */ row) => html`${row.username ?? "–"}<div class="small muted">${row.email}</div>` },
            { title: t("people.role"), cell: (/** @type {any} */ row) => html`<span class=${`tag ${row.role === "user" ? "" : "tag-good"}`}>${t(`role.${row.role}`)}</span>` },
            { title: t("people.since"), cell: (/** @type {any} */ row) => when(row.registered_at) },
            { title: t("people.verified"), cell: (/** @type {any} */ row) => row.email_verified ? t("common.yes") : t("common.no") },
            { title: t("common.actions"), kind: "actions", cell: (/** @type {any} */ row) => html`<button type="button" class="button button-small" onClick=${() => setChosen(row)}>${t("people.open")}</button>` },
          ]} />
        <${Pages} page=${found.page} of=${found.total_pages} onPage=${setPage} />`}<//>
    <//>
    <${Dialog} side title=${chosen?.username ?? chosen?.email ?? ""} isOpen=${chosen !== null} onClose=${() => setChosen(null)}>
      ${chosen ? html`<${Account} key=${chosen.user_id} account=${chosen} onDone=${() => { setChosen(null); accounts.again(); }} />` : null}
    <//>`;
}

/** @param {{account: any, onDone: () => void}} props */
function Account({ account, onDone }) {
  const [role, setRole] = useState(account.role);
  const [link, setLink] = useState(/** @type {string | null} */ (null));
  // in the query: in a path, a browser drops the ids "." and ".."
  const user = `user_id=${encodeURIComponent(account.user_id)}`;
  const [download, isBusy] = useAction(async () => {
    const { body } = await api.get(`/admin/users/export?${user}`);
    const address = URL.createObjectURL(new Blob([JSON.stringify(body, null, 2)], { type: "application/json" }));
    const anchor = document.createElement("a");
    anchor.href = address;
    anchor.download = `${account.user_id}.json`;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
    return t("people.exported");
  });
  return html`
    <dl class="facts">
      <dt>${t("people.email")}</dt><dd>${account.email ?? "–"}</dd>
      <dt>${t("people.id")}</dt><dd><code>${account.user_id}</code></dd>
      <dt>${t("people.city")}</dt><dd>${account.city ?? "–"}</dd>
    </dl>
    <p><a class="button button-small" href=${`#/recommendations/preview?user_id=${encodeURIComponent(account.user_id)}`} onClick=${onDone}>${t("people.preview")}</a></p>
    <section class="stack"><h3>${t("people.role")}</h3>
      <${Segmented} name="new-role" label=${t("people.role")} value=${role} values=${ROLES.map((name) => [name, t(`role.${name}`)])} onChange=${setRole} />
      <div><${ConfirmButton} label=${t("people.assign")} title=${t("people.assign.title")} text=${t("people.assign.text", { email: account.email ?? account.user_id, role: t(`role.${role}`) })} disabled=${role === account.role}
        action=${async () => {
          const answer = (await api.put(`/admin/users/role?${user}`, { role, email: account.email })).body;
          if (answer.link) setLink(answer.link);
          else onDone();
          return t(answer.mailed ? "people.mailed" : "people.assigned");
        }} /></div>
      ${link ? html`<${Note}><p>${t("people.link")}</p><p><code class="wrap">${link}</code></p><//>` : null}
    </section>
    <section class="stack"><h3>${t("people.data")}</h3><p class="muted small">${t("people.data.text")}</p>
      <div class="row">
        <button type="button" class="button button-small" disabled=${isBusy || !mayWrite()} onClick=${() => download()}>${t("people.export")}</button>
        <${ConfirmButton} bad label=${t("people.erase")} title=${t("people.erase.title")} text=${t("people.erase.text", { email: account.email ?? account.user_id })}
          action=${async () => { await api.delete(`/admin/users?${user}`); onDone(); return t("people.erased"); }} />
      </div></section>`;
}

export function AuditLog() {
  const [which, setWhich] = useState("all");
  const [page, setPage] = useState(1);
  const log = usePolled("/admin/audit-log", { security: which === "all" ? null : which === "security", page, page_size: 50 }, 30);
  return html`
    <${PageHead} title=${t("audit.title")} text=${t("audit.text")} />
    <${Card} title=${t("audit.entries")} tools=${html`<${Segmented} name="which" label=${t("audit.which")} value=${which} values=${[["all", t("audit.all")], ["changes", t("audit.changes")], ["security", t("audit.security")]]} onChange=${(/** @type {string} */ next) => { setWhich(next); setPage(1); }} />`}>
      <${Shown} of=${log} lines=${12}>${(/** @type {any} */ found) => html`<${Table} label=${t("audit.entries")} rows=${found.entries} rowKey=${(/** @type {any} */ row) => row.id}
          empty=${html`<${Nothing} icon="clock" title=${t("audit.none")} />`}
          columns=${[
            { title: t("audit.when"), cell: (/** @type {any} */ row) => when(row.at) },
            { title: t("audit.actor"), long: true, cell: (/** @type {any} */ row) => row.actor },
            { title: t("audit.action"), cell: (/** @type {any} */ row) => html`<code>${row.action}</code>` },
            { title: t("audit.subject"), long: true, cell: (/** @type {any} */ row) => row.subject },
            { title: t("audit.change"), long: true, cell: (/** @type {any} */ row) => row.before || row.after ? html`<${Json} value=${{ before: row.before, after: row.after }} label=${t("rejected.show")} />` : "–" },
          ]} />
        <${Pages} page=${found.page} of=${found.total_pages} onPage=${setPage} />`}<//>
    <//>`;
}

export function Keys() {
  const keys = usePolled("/admin/api-keys");
  const [name, setName] = useState("");
  const [kind, setKind] = useState("publishable");
  const [created, setCreated] = useState(/** @type {any} */ (null));
  const [create, isBusy] = useAction(async () => {
    setCreated((await api.post("/admin/api-keys", { kind, name })).body);
    setName("");
    keys.again();
  });
  return html`
    <${PageHead} title=${t("keys.title")} text=${t("keys.text")} />
    <${Card} title=${t("keys.new")}>
      <form class="form-row" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); void create(); }}>
        <${Field} label=${t("keys.name")} name="key-name" value=${name} onInput=${setName} required maxlength=${100} hint=${t("keys.name.hint")} autocomplete="off" />
        <${Segmented} name="key-kind" label=${t("keys.kind")} value=${kind} values=${[["publishable", t("keys.publishable")], ["secret", t("keys.secret")]]} onChange=${setKind} />
        <button type="submit" class="button button-main" disabled=${isBusy || !mayWrite()}>${t("keys.create")}</button>
      </form>
      <p class="muted small">${t(`keys.${kind}.text`)}</p>
      ${created ? html`<${Note} kind="good"><p>${t("keys.created")}</p><p><code class="wrap" data-new-key>${created.key}</code></p><//>` : null}
    <//>
    <${Card} title=${t("keys.all")}>
      <${Shown} of=${keys}>${(/** @type {any} */ found) => html`<${Table} label=${t("keys.all")} rows=${found.api_keys} rowKey=${(/** @type {any} */ row) => row.id}
        empty=${html`<${Nothing} icon="box" title=${t("keys.none")} text=${t("keys.none.text")} />`}
        columns=${[
          { title: t("keys.name"), long: true, cell: (/** @type {any} */ row) => html`${row.name}<div class="small muted"><code>${row.kind === "secret" ? "sk" : "pk"}_${row.id}_…</code></div>` },
          { title: t("keys.kind"), cell: (/** @type {any} */ row) => t(`keys.${row.kind}`) },
          { title: t("keys.made"), cell: (/** @type {any} */ row) => html`${when(row.created_at)}<div class="small muted">${row.created_by}</div>` },
          { title: t("keys.state"), cell: (/** @type {any} */ row) => row.revoked_at ? html`<${State} state="paused" text=${t("keys.revoked", { when: when(row.revoked_at) })} />` : html`<${State} state="active" text=${t("keys.valid")} />` },
          { title: t("common.actions"), kind: "actions", cell: (/** @type {any} */ row) => row.revoked_at ? null : html`<${ConfirmButton} bad label=${t("keys.revoke")} title=${t("keys.revoke.title")} text=${t("keys.revoke.text", { name: row.name })}
              action=${async () => { await api.delete(`/admin/api-keys/${row.id}`); keys.again(); return t("keys.gone"); }} />` },
        ]} />`}<//>
    <//>`;
}

export function Own() {
  const who = useStore(person);
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [isDone, setDone] = useState(false);
  /** @param {any} event */
  async function submit(event) {
    event.preventDefault();
    const form = event.currentTarget;
    const data = new FormData(form);
    setBusy(true);
    setError("");
    try {
      await changePassword(String(data.get("old")), String(data.get("new")));
      form.reset();
      setDone(true);
    } catch (problem) {
      setError(problemText(problem));
    } finally {
      setBusy(false);
    }
  }
  return html`
    <${PageHead} title=${t("own.title")} text=${who?.email ?? ""} />
    <${Card} title=${t("own.password")} text=${t("own.password.text")}>
      <form class="stack narrow" onSubmit=${submit}>
        <${Field} label=${t("own.old")} name="old" type="password" autocomplete="current-password" required />
        <${Field} label=${t("own.new")} name="new" type="password" autocomplete="new-password" minlength=${8} maxlength=${128} required hint=${t("own.new.hint")} error=${error} />
        ${isDone ? html`<${Note} kind="good"><p>${t("own.done")}</p><//>` : null}
        <div><button type="submit" class="button button-main" disabled=${isBusy}>${t("own.change")}</button></div>
      </form>
    <//>`;
}
