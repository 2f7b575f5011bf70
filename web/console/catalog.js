/** The catalog: search, edit a product, and import a file with a preview of how its columns are read. */

import { queryString } from "../common/api.js";
import { Field, Icon, ProblemNote, Segmented } from "../common/components.js";
import { displayName, money, number } from "../common/format.js";
import { t } from "../common/i18n.js";
import { go, link, route } from "../common/router.js";
import { useStore } from "../common/store.js";
import { html, useState } from "../common/view.js";
import { Card, Json, Nothing, PageHead, Pages, Shown, State, Table, Tabs, useAction, useForm, usePolled, when } from "./parts.js";
import { api, mayWrite, sendFile, shop, upload } from "./session.js";

/** @param {{parts: string[]}} props */
export function Catalog({ parts }) {
  const [tab = "products", id] = parts;
  const isImport = tab === "import";
  return html`
    <${PageHead} title=${t("catalog.title")} text=${t("catalog.text")} />
    <${Tabs} label=${t("catalog.title")} current=${isImport ? "/catalog/import" : "/catalog/products"} tabs=${[["/catalog/products", t("catalog.products")], ["/catalog/import", t("catalog.import")]]} />
    ${isImport ? html`<${Import} />` : id ? html`<${Product} key=${id} id=${id} />` : html`<${Products} />`}
  `;
}

function Products() {
  const { query } = useStore(route);
  const search = query.get("q") ?? "";
  const stock = query.get("stock") ?? "all";
  const page = Number(query.get("page") ?? "1");
  const [text, setText] = useState(search);
  const { currency } = useStore(shop);
  const found = usePolled("/products", { search, page, page_size: 25, in_stock: stock === "all" ? null : stock === "in", sort: search ? null : "popular", variants: "all" });
  /** @param {Record<string, string | number>} next */
  const address = (next) => link("/catalog/products", { q: search, stock: stock === "all" ? "" : stock, ...next });
  return html`<${Card} title=${t("catalog.products")}
      tools=${html`<${Segmented} name="stock" label=${t("catalog.stock")} value=${stock} values=${[["all", t("catalog.all")], ["in", t("catalog.in-stock")], ["out", t("catalog.sold-out")]]} onChange=${(/** @type {string} */ next) => go(address({ stock: next === "all" ? "" : next }))} />`}>
    <form class="form-row" role="search" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); go(address({ q: text.trim() })); }}>
      <${Field} label=${t("catalog.search")} name="q" type="search" value=${text} onInput=${setText} hint=${t("catalog.search.hint")} autocomplete="off" />
      <button type="submit" class="button button-main"><${Icon} name="search" size="small" /> ${t("catalog.find")}</button>
    </form>
    <${Shown} of=${found} lines=${12}>${(/** @type {any} */ body) => html`
      <p class="muted small" role="status">${t("catalog.found", { n: body.total })}</p>
      <${Table} label=${t("catalog.products")} rows=${body.products} rowKey=${(/** @type {any} */ row) => row.id}
        empty=${html`<${Nothing} icon="search" title=${t("catalog.none")} text=${t("catalog.none.text")} />`}
        columns=${[
          { title: t("product"), long: true, cell: (/** @type {any} */ row) => html`<a href=${link(`/catalog/products/${row.id}`)}>${displayName(row.name)}</a><div class="small muted">${row.external_id}</div>` },
          { title: t("catalog.category"), long: true, cell: (/** @type {any} */ row) => row.category_path ?? "–" },
          { title: t("catalog.price"), kind: "number", cell: (/** @type {any} */ row) => money(row.price, row.currency ?? currency) },
          { title: t("catalog.quantity"), kind: "number", cell: (/** @type {any} */ row) => row.quantity > 0 ? number(row.quantity) : html`<${State} state="warning" text=${t("catalog.sold-out")} />` },
          { title: t("catalog.bought"), kind: "number", cell: (/** @type {any} */ row) => number(row.purchase_count) },
        ]} />
      <${Pages} page=${body.page} of=${body.total_pages} onPage=${(/** @type {number} */ next) => go(address({ page: next }))} />`}<//>
  <//>`;
}

/** @param {{id: string}} props */
function Product({ id }) {
  const product = usePolled(/^\d+$/.test(id) ? `/products/${id}` : "/products/0");
  return html`<p><a href=${link("/catalog/products")}>← ${t("catalog.back")}</a></p>
    <${Shown} of=${product} lines=${10}>${(/** @type {any} */ found) => html`<${Editor} key=${found.updated_at} product=${found} onSaved=${product.again} />`}<//>`;
}

/** @param {{product: any, onSaved: () => void}} props */
function Editor({ product, onSaved }) {
  const [save, isBusy] = useAction(async (/** @type {Record<string, unknown>} */ changes) => {
    await api.patch(`/products/${product.id}`, changes);
    onSaved();
    return t("catalog.saved");
  });
  const text = (/** @type {unknown} */ value) => (value === null || value === undefined ? "" : String(value));
  const [values, field, set] = useForm({
    name: text(product.name), description: text(product.description), price: text(product.price), list_price: text(product.list_price),
    quantity: text(product.quantity), category: text(product.category_path), brand: text(product.brand), tags: (product.tags ?? []).join(", "),
    image_url: text(product.image_url), is_active: product.is_active,
  }, "catalog.field");
  /** Sends what differs from the product, and nothing else. @param {Event} event */
  function submit(event) {
    event.preventDefault();
    /** @type {Record<string, unknown>} */
    const now = {
      name: values.name,
      description: values.description,
      price: Number(values.price),
      list_price: values.list_price === "" ? null : Number(values.list_price),
      quantity: Number(values.quantity),
      category: values.category.trim() || null,
      brand: values.brand.trim() || null,
      tags: values.tags.split(",").map((/** @type {string} */ tag) => tag.trim()).filter(Boolean),
      image_url: values.image_url.trim() || null,
      is_active: values.is_active,
    };
    const before = { ...product, category: product.category_path, description: text(product.description) };
    const changes = Object.fromEntries(Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));
    if (Object.keys(changes).length > 0) void save(changes);
  }
  return html`<${Card} title=${displayName(product.name)} text=${t("catalog.changed", { id: product.external_id, when: when(product.updated_at) })}
      tools=${html`<a class="button button-small" href=${link("/recommendations/preview", { product_id: product.id })}>${t("catalog.preview")}</a>`}>
    <form class="stack" onSubmit=${submit}>
      ${field("name", { required: true, maxlength: 255 })}
      <div class="field"><label for="field-description">${t("catalog.field.description")}</label>
        <textarea id="field-description" name="description" rows="4" value=${values.description} onInput=${(/** @type {any} */ event) => set("description", event.currentTarget.value)}></textarea></div>
      <div class="three">
        ${field("price", { type: "number", step: "any", min: 0, required: true })}
        ${field("list_price", { type: "number", step: "any", min: 0, hint: t("catalog.field.list_price.hint") })}
        ${field("quantity", { type: "number", min: 0, step: 1, required: true })}
      </div>
      <div class="three">
        ${field("category", { hint: t("catalog.field.category.hint") })}
        ${field("brand")}
        ${field("tags", { hint: t("catalog.field.tags.hint") })}
      </div>
      <${ImageField} product=${product} address=${values.image_url} onUploaded=${(/** @type {string} */ address) => set("image_url", address)} />
      ${field("image_url", { type: "url", hint: t("catalog.field.image_url.hint") })}
      <label class="check"><input type="checkbox" name="is_active" checked=${values.is_active} onChange=${(/** @type {any} */ event) => set("is_active", event.currentTarget.checked)} /> ${t("catalog.field.is_active")}</label>
      <div class="row dialog-actions"><button type="submit" class="button button-main" disabled=${isBusy || !mayWrite()}>${t("common.save")}</button></div>
    </form>
  <//>`;
}

const IMAGE_TYPES = ["image/png", "image/jpeg", "image/webp"];
const MAX_IMAGE_BYTES = 5 * 1024 * 1024;

/**
 * The picture of a product, and uploading another one, which takes effect at once. What was typed in the form stays.
 *
 * @param {{product: any, address: string, onUploaded: (address: string) => void}} props
 */
function ImageField({ product, address, onUploaded }) {
  const [refusal, setRefusal] = useState("");
  const [send, isBusy] = useAction(async (/** @type {File} */ file) => {
    const target = (await api.post(`/products/${product.id}/image-upload`, { content_type: file.type, size: file.size })).body;
    await sendFile(target, file);
    onUploaded((await api.put(`/products/${product.id}/image`, { upload: target.upload })).body.image_url);
    return t("image.done");
  });
  /** @param {any} event */
  function choose(event) {
    const file = /** @type {File | undefined} */ (event.currentTarget.files?.[0]);
    // the same file may be chosen again
    event.currentTarget.value = "";
    if (!file) return;
    const reason = !IMAGE_TYPES.includes(file.type) ? t("image.wrong-type") : file.size > MAX_IMAGE_BYTES ? t("image.too-large") : file.size === 0 ? t("image.empty") : "";
    setRefusal(reason);
    if (!reason) void send(file);
  }
  return html`<div class="image-field">
    ${/^https?:/.test(address) ? html`<img class="image-now" src=${address} alt=${t("image.of", { name: displayName(product.name) })} width="96" height="96" />` : html`<div class="image-now sunken muted small">${t("image.none")}</div>`}
    <div class="field"><label for="image-file">${t("image.upload")}</label>
      <input id="image-file" type="file" accept=${IMAGE_TYPES.join(",")} disabled=${isBusy || !mayWrite()} aria-describedby="image-hint" onChange=${choose} />
      <p class="field-hint" id="image-hint">${isBusy ? t("image.sending") : t("image.hint")}</p>
      ${refusal ? html`<p class="wrong" role="alert">${refusal}</p>` : null}</div>
  </div>`;
}

const TYPES = /** @type {Record<string, string>} */ ({ csv: "text/csv", tsv: "text/csv", txt: "text/csv", xml: "application/xml", jsonl: "application/x-ndjson", ndjson: "application/x-ndjson", json: "application/ld+json", gz: "application/gzip" });

function Import() {
  const imports = usePolled("/admin/imports", { limit: 20 }, 10);
  const [file, setFile] = useState(/** @type {File | null} */ (null));
  const [preset, setPreset] = useState("");
  const [columns, setColumns] = useState("");
  const [error, setError] = useState(/** @type {unknown} */ (null));
  const [report, setReport] = useState(/** @type {any} */ (null));
  const [opened, setOpened] = useState(/** @type {number | null} */ (null));
  const [send, isBusy] = useAction(async (/** @type {boolean} */ isDry) => {
    if (file === null) return;
    const type = TYPES[file.name.split(".").pop()?.toLowerCase() ?? ""] ?? "text/csv";
    const query = queryString({ dry_run: isDry, preset: preset.trim(), columns: columns.trim() });
    setError(null);
    setReport(null);
    let answer;
    try {
      answer = await upload(`/products/import${query}`, file, type);
    } catch (problem) {
      // it says what to change: it stays beside the form
      setError(problem);
      return;
    }
    setReport(answer);
    if (isDry) return;
    imports.again();
    return t("import.done", { n: answer.created + answer.updated });
  });
  return html`
    <${Card} title=${t("import.title")} text=${t("import.text")}>
      <div class="form-row">
        <div class="field"><label for="import-file">${t("import.file")}</label>
          <input id="import-file" type="file" accept=".csv,.tsv,.txt,.xml,.json,.jsonl,.ndjson,.gz" onChange=${(/** @type {any} */ event) => { setFile(event.currentTarget.files?.[0] ?? null); setReport(null); }} />
          <p class="field-hint">${t("import.file.hint")}</p></div>
        <${Field} label=${t("import.preset")} name="preset" value=${preset} onInput=${setPreset} hint=${t("import.preset.hint")} autocomplete="off" />
        <${Field} label=${t("import.columns")} name="columns" value=${columns} onInput=${setColumns} hint=${t("import.columns.hint")} autocomplete="off" />
        <button type="button" class="button button-main" disabled=${file === null || isBusy || !mayWrite()} onClick=${() => send(true)}>${isBusy ? t("import.reading") : t("import.preview")}</button>
      </div>
      ${error ? html`<${ProblemNote} error=${error} />` : null}
      ${report ? html`<${Report} report=${report} />` : null}
      ${report?.dry_run && report.used > 0 ? html`<div class="row dialog-actions"><button type="button" class="button button-main" disabled=${isBusy} onClick=${() => send(false)}>${t("import.import", { n: report.used })}</button></div>` : null}
    <//>
    <${Card} title=${t("import.last")}>
      <${Shown} of=${imports}>${(/** @type {any} */ found) => html`<${Table} label=${t("import.last")} rows=${found.imports} rowKey=${(/** @type {any} */ row) => row.id}
        empty=${html`<${Nothing} icon="box" title=${t("import.none")} text=${t("import.none.text")} />`}
        columns=${[
          { title: t("import.when"), cell: (/** @type {any} */ row) => when(row.started_at) },
          { title: t("import.source"), long: true, cell: (/** @type {any} */ row) => row.source },
          { title: t("import.state"), cell: (/** @type {any} */ row) => html`<${State} state=${row.state} />` },
          { title: t("import.written"), kind: "number", cell: (/** @type {any} */ row) => `${number(row.rows_written)} / ${number(row.rows_read)}` },
          { title: t("import.refused"), kind: "number", cell: (/** @type {any} */ row) => number(row.rows_refused) },
          { title: t("common.actions"), kind: "actions", cell: (/** @type {any} */ row) => html`<button type="button" class="button button-small" aria-expanded=${opened === row.id} onClick=${() => setOpened(opened === row.id ? null : row.id)}>${t("import.report")}</button>` },
        ]} />`}<//>
      ${opened === null ? null : html`<${Stored} id=${opened} />`}
    <//>`;
}

/** @param {{id: number}} props */
function Stored({ id }) {
  const stored = usePolled(`/admin/imports/${id}`);
  return html`<${Shown} of=${stored}>${(/** @type {any} */ found) => found.report ? html`<${Report} report=${found.report} />` : html`<p class="muted">${t("import.running")}</p>`}<//>`;
}

/** What became of the rows of a file: counts, columns as they were read, and each refused row. @param {{report: any}} props */
function Report({ report }) {
  const errors = report.errors ?? [];
  const columns = Object.entries(report.columns ?? {});
  const ignored = report.ignored_columns ?? [];
  return html`<div class="stack report">
    <dl class="metrics metrics-plain">
      <div class="metric"><dt>${t("import.rows")}</dt><dd class="figure metric-value">${number(report.rows ?? 0)}</dd></div>
      <div class="metric"><dt>${t("import.used")}</dt><dd class="figure metric-value">${number(report.used ?? 0)}</dd></div>
      <div class="metric"><dt>${t("import.refused")}</dt><dd class=${`figure metric-value ${errors.length ? "is-bad" : ""}`}>${number(report.failed ?? errors.length)}</dd></div>
      ${report.dry_run ? null : html`<div class="metric"><dt>${t("import.changed")}</dt><dd class="figure metric-value">${number(report.created ?? 0)} + ${number(report.updated ?? 0)}</dd></div>`}
    </dl>
    ${columns.length > 0
      ? html`<h3>${t("import.mapping")}</h3>
          <${Table} label=${t("import.mapping")} rows=${columns} rowKey=${(/** @type {any} */ row) => row[0]} columns=${[
            { title: t("import.column"), long: true, cell: (/** @type {any} */ row) => String(row[1]) },
            { title: t("import.field"), long: true, cell: (/** @type {any} */ row) => html`<code>${row[0]}</code>` },
          ]} />`
      : null}
    ${ignored.length > 0 ? html`<p class="small muted">${t("import.ignored", { columns: ignored.join(", ") })}</p>` : null}
    ${report.preview?.length
      ? html`<h3>${t("import.first")}</h3>
          <${Table} label=${t("import.first")} rows=${report.preview} rowKey=${(/** @type {any} */ row) => row.external_id ?? row.name} columns=${[
            { title: t("catalog.field.external_id"), cell: (/** @type {any} */ row) => row.external_id ?? "–" },
            { title: t("catalog.field.name"), long: true, cell: (/** @type {any} */ row) => row.name ?? "–" },
            { title: t("catalog.price"), kind: "number", cell: (/** @type {any} */ row) => row.price ?? "–" },
            { title: t("import.all-fields"), long: true, cell: (/** @type {any} */ row) => html`<${Json} value=${row} label=${t("rejected.show")} />` },
          ]} />`
      : null}
    ${errors.length > 0
      ? html`<h3>${t("import.errors")}</h3>
          <${Table} label=${t("import.errors")} rows=${errors.slice(0, 200)} rowKey=${(/** @type {any} */ row) => `${row.row} ${row.field} ${row.message}`} columns=${[
            { title: t("import.row"), kind: "number", cell: (/** @type {any} */ row) => row.row },
            { title: t("import.field"), cell: (/** @type {any} */ row) => html`<code>${row.field}</code>` },
            { title: t("import.problem"), long: true, cell: (/** @type {any} */ row) => row.message },
          ]} />`
      : null}
  </div>`;
}
