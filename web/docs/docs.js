// @ts-check
/** The API reference: every operation of the description, rendered when it is opened, with a form to try it. */

import { useEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
import { html, render } from "../vendor/htm-preact.js";
import { answersOf, bodyOf, credentialOf, curlOf, exampleOf, limitsOf, matching, nameOf, operationsOf, requestOf, requiredOf, resolved, typeOf } from "./description.js";

/** @typedef {import("./description.js").Json} Json */

const DESCRIPTION = "/web/docs/openapi.json";

/** Text with code between backticks. @param {{text?: string}} props */
function Prose({ text = "" }) {
  return text.split("`").map((part, place) => (place % 2 ? html`<code>${part}</code>` : part));
}

/** @param {{value: any}} props */
function Pretty({ value }) {
  return html`<pre tabindex="0"><code>${typeof value === "string" ? value : JSON.stringify(value, null, 2)}</code></pre>`;
}

/** The fields of a schema; those of a component inside it are rendered when it is opened. @param {{document: Json, schema: Json}} props */
function Schema({ document, schema }) {
  const [isOpen, setOpen] = useState(false);
  const inner = schema.type === "array" && schema.items ? schema.items : schema;
  const choices = (inner.anyOf || inner.oneOf || []).filter((/** @type {Json} */ choice) => choice.type !== "null");
  if (choices.length > 1) {
    return html`<div class="schema">One of: ${choices.map((/** @type {Json} */ choice) => html`<div class="field"><span class="name">${typeOf(choice)}</span> <${Schema} document=${document} schema=${choice} /></div>`)}</div>`;
  }
  const target = resolved(document, inner);
  if (!target.properties) return null;
  return html`<details class="schema" onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
    <summary>Fields of <code>${nameOf(inner) || nameOf(choices[0] || {}) || "the object"}</code></summary>
    ${isOpen && Object.entries(target.properties).map(([name, field]) => html`<div class="field" key=${name}>
      <span class="name">${name}</span> <span class="faint">${typeOf(field)} ${limitsOf(field)}</span>
      ${(target.required || []).includes(name) && html` <span class="required">required</span>`}
      <div><${Prose} text=${field.description} /></div>
      <${Schema} document=${document} schema=${field} />
    </div>`)}
  </details>`;
}

/** @param {{parameters: Json[]}} props */
function Parameters({ parameters }) {
  if (!parameters.length) return null;
  return html`<h3>Parameters</h3><div class="scroll" tabindex="0" role="region" aria-label="Parameters"><table>
    <thead><tr><th>Name</th><th>In</th><th>Type</th><th>Meaning</th></tr></thead>
    <tbody>${parameters.map((parameter) => html`<tr>
      <td><span class="name">${parameter.name}</span>${parameter.required && html` <span class="required">required</span>`}</td>
      <td>${parameter.in}</td><td>${typeOf(parameter.schema)}<div class="faint">${limitsOf(parameter.schema)}</div></td>
      <td><${Prose} text=${parameter.description || parameter.schema.description} /></td>
    </tr>`)}</tbody></table></div>`;
}

/** @param {{document: Json, content?: Json}} props */
function Content({ document, content = {} }) {
  return Object.entries(content).map(([type, media]) => html`<div key=${type}>
    <span class="faint">${type}</span>
    ${media.schema && html`<${Schema} document=${document} schema=${media.schema} />`}
    ${media.example !== undefined ? html`<${Pretty} value=${media.example} />` : type.includes("json") && media.schema && html`<${Pretty} value=${exampleOf(document, media.schema)} />`}
  </div>`);
}

/** @param {{operation: import("./description.js").Operation, document: Json, credentials: {token: string, key: string}}} props */
function Try({ operation, document, credentials }) {
  const parameters = operation.operation.parameters || [];
  const media = Object.entries(operation.operation.requestBody?.content || {})[0];
  const [values, setValues] = useState(() => requiredOf(parameters));
  const [body, setBody] = useState(() => (media ? bodyOf(document, media[0], media[1]) : ""));
  const [answer, setAnswer] = useState(/** @type {Json | null} */ (null));
  const [isSending, setSending] = useState(false);
  const request = requestOf(operation, values, body, credentials);

  /** @param {Event} event */
  async function send(event) {
    event.preventDefault();
    setSending(true);
    const began = performance.now();
    try {
      const response = await fetch(request.url, request);
      const text = await response.text();
      const type = response.headers.get("content-type") || "";
      let shown = text;
      if (type.includes("json") && text) shown = JSON.stringify(JSON.parse(text), null, 2);
      setAnswer({ status: response.status, ms: performance.now() - began, id: response.headers.get("x-request-id"), text: shown });
    } catch (error) {
      setAnswer({ status: 0, ms: performance.now() - began, text: `No answer: ${error}` });
    }
    setSending(false);
  }

  return html`<form class="try" onSubmit=${send}>
    <h3>Try it</h3>
    ${parameters.map((/** @type {Json} */ parameter) => {
      const name = `${parameter.in}.${parameter.name}`;
      return html`<label key=${name}><span class="name">${parameter.name}</span>
        <input name=${name} required=${parameter.required} autocomplete="off" spellcheck=${false} value=${values[name] || ""} placeholder=${parameter.example ?? ""}
          onInput=${(/** @type {any} */ input) => setValues({ ...values, [name]: input.currentTarget.value })} /></label>`;
    })}
    ${media && html`<label><span class="name">body</span>
      <textarea rows=${Math.min(16, body.split("\n").length + 1)} spellcheck=${false} value=${body}
        onInput=${(/** @type {any} */ input) => setBody(input.currentTarget.value)}></textarea></label>`}
    <button disabled=${isSending}>${isSending ? "Sending …" : "Send"}</button>
    <${Pretty} value=${curlOf(request, location.origin)} />
    <div role="status">${answer && html`
      <p><span class=${`status ${answer.status >= 200 && answer.status < 400 ? "good" : "bad"}`}>${answer.status || "—"}</span>
        <span class="faint"> in ${answer.ms.toFixed(0)} ms${answer.id && `, request id ${answer.id}`}</span></p>
      ${answer.text && html`<${Pretty} value=${answer.text} />`}`}</div>
  </form>`;
}

/** An example of a problem, rendered when it is opened. @param {{status: string, problem: Json}} props */
function Problem({ status, problem }) {
  const [isOpen, setOpen] = useState(false);
  return html`<details class="example" onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
    <summary><strong>${status}</strong> ${problem.title}</summary>
    ${isOpen && html`<${Pretty} value=${problem} />`}
  </details>`;
}

/** @param {{operation: Json}} props */
function Credentials({ operation }) {
  return html`<p class="faint">${credentialOf(operation)}</p>`;
}

/** @param {{entry: import("./description.js").Operation, document: Json, credentials: {token: string, key: string}, isChosen: boolean}} props */
function Operation({ entry, document, credentials, isChosen }) {
  const [isOpen, setOpen] = useState(isChosen);
  const element = useRef(/** @type {any} */ (null));
  useEffect(() => {
    if (!isChosen) return;
    setOpen(true);
    element.current?.scrollIntoView();
  }, [isChosen]);
  const { operation } = entry;
  const { successes, problems, examples } = answersOf(operation);
  return html`<details class="operation" id=${entry.id} ref=${element} open=${isOpen} onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
    <summary><span class=${`method ${entry.method}`}>${entry.method}</span> <span class="path">${entry.path}</span>
      <span class="short"><${Prose} text=${(operation.description || "").split(/(?<=[.:])\s/)[0]} /></span></summary>
    ${isOpen && html`<div class="body">
      <p><${Prose} text=${operation.description} /> <a href=${`#${entry.id}`} aria-label="Link to this operation">#</a></p>
      <${Credentials} operation=${operation} />
      <${Parameters} parameters=${operation.parameters || []} />
      ${operation.requestBody && html`<h3>Request body</h3><${Content} document=${document} content=${operation.requestBody.content} />`}
      <h3>Answers</h3>
      ${successes.map(({ status, answer }) => html`<div key=${status}><strong>${status}</strong> ${answer.description} <${Content} document=${document} content=${answer.content} /></div>`)}
      ${problems.map(([name, statuses]) => html`<p key=${name}>${statuses.join(", ")}: <a href=${`#schema-${name}`}>${name}</a></p>`)}
      ${examples.map(({ status, problem }) => html`<${Problem} key=${status} status=${status} problem=${problem} />`)}
      <${Try} operation=${entry} document=${document} credentials=${credentials} />
    </div>`}
  </details>`;
}

/** @param {{document: Json}} props */
function Reference({ document }) {
  const [filter, setFilter] = useState("");
  const [chosen, setChosen] = useState(location.hash.slice(1));
  const [credentials, setCredentials] = useState({ token: "", key: "" });
  useEffect(() => {
    const follow = () => setChosen(location.hash.slice(1));
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const operations = useMemo(() => operationsOf(document), [document]);
  const shown = useMemo(() => matching(operations, filter), [operations, filter]);
  const groups = document.tags
    .map((/** @type {Json} */ tag) => ({ ...tag, entries: shown.filter((/** @type {import("./description.js").Operation} */ entry) => entry.tag === tag.name) }))
    .filter((/** @type {Json} */ group) => group.entries.length);
  const problems = ["Problem", ...Object.keys(document.components.schemas).filter((name) => name !== "Problem" && name.endsWith("Problem") && answersUse(operations, name))];
  return html`<div class="layout">
    <nav aria-label="Groups of operations">
      <label>Filter<input type="search" value=${filter} placeholder="such as cart or user_id" onInput=${(/** @type {any} */ event) => setFilter(event.currentTarget.value)} /></label>
      <ul>${groups.map((/** @type {Json} */ group) => html`<li key=${group.name}><a href=${`#tag-${group.name}`}>${group.name}<span>${group.entries.length}</span></a></li>`)}
        <li><a href="#schema-Problem">problems</a></li></ul>
    </nav>
    <main>
      <h1>${document.info.title} API</h1>
      <p><${Prose} text=${document.info.description} /> Every path also answers below <code>/api/v1</code>.
        The description is <a href=${DESCRIPTION}>OpenAPI ${document.openapi}</a>.</p>
      <form class="credentials" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}>
        <label>Token for trying <input type="password" autocomplete="off" value=${credentials.token} onInput=${(/** @type {any} */ event) => setCredentials({ ...credentials, token: event.currentTarget.value.trim() })} /></label>
        <label>API key for trying <input type="password" autocomplete="off" value=${credentials.key} onInput=${(/** @type {any} */ event) => setCredentials({ ...credentials, key: event.currentTarget.value.trim() })} /></label>
      </form>
      <p class="note" role="status">${shown.length} of ${operations.length} operations${shown.length ? "." : ". Try another word."}</p>
      ${groups.map((/** @type {Json} */ group) => html`<section key=${group.name}>
        <h2 id=${`tag-${group.name}`}>${group.name}</h2>
        <p class="faint"><${Prose} text=${group.description} /></p>
        ${group.entries.map((/** @type {any} */ entry) => html`<${Operation} key=${entry.id} entry=${entry} document=${document} credentials=${credentials} isChosen=${entry.id === chosen} />`)}
      </section>`)}
      <section><h2>Problems</h2>
        ${problems.map((name) => html`<div key=${name} id=${`schema-${name}`}><h3>${name}</h3>
          <p><${Prose} text=${document.components.schemas[name].description} /></p>
          <${Schema} document=${document} schema=${{ $ref: `#/components/schemas/${name}` }} /></div>`)}
      </section>
    </main>
  </div>`;
}

/** @param {import("./description.js").Operation[]} operations @param {string} name */
function answersUse(operations, name) {
  return operations.some(({ operation }) => answersOf(operation).problems.some(([problem]) => problem === name));
}

const page = /** @type {HTMLElement} */ (document.getElementById("page"));
try {
  const answer = await fetch(DESCRIPTION);
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const description = await answer.json();
  page.replaceChildren();
  render(html`<${Reference} document=${description} />`, page);
  // the target of the address did not exist when the browser looked for it
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
} catch (error) {
  page.textContent = `The description cannot be loaded (${error}). Reload the page, or read ${DESCRIPTION}.`;
}
