// @ts-check
/** What the page reads out of an OpenAPI description: operations by group, examples and requests. No rendering. */

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEEPEST_EXAMPLE = 6;

/**
 * @typedef {Record<string, any>} Json
 * @typedef {{id: string, method: string, path: string, tag: string, operation: Json, text: string}} Operation
 */

/**
 * Return every operation, in the order of the description.
 * @param {Json} document
 * @returns {Operation[]}
 */
export function operationsOf(document) {
  /** @type {Operation[]} */
  const operations = [];
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const operation = methods[method];
      if (!operation) continue;
      const names = (operation.parameters || []).map((/** @type {Json} */ parameter) => parameter.name);
      const text = [method, path, operation.operationId, operation.description, ...operation.tags, ...names].join(" ");
      operations.push({ id: operation.operationId, method, path, tag: operation.tags[0], operation, text: text.toLowerCase() });
    }
  }
  return operations;
}

/**
 * Return the operations that contain every word of a filter.
 * @param {Operation[]} operations
 * @param {string} filter
 */
export function matching(operations, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return operations.filter((operation) => words.every((word) => operation.text.includes(word)));
}

/**
 * Return the name of a reference's component; empty if the schema is none.
 * @param {Json} schema
 */
export function nameOf(schema) {
  return schema.$ref ? schema.$ref.split("/").pop() : "";
}

/**
 * Return the schema that a reference leads to; a nullable one without its null.
 * @param {Json} document
 * @param {Json} schema
 * @returns {Json}
 */
export function resolved(document, schema) {
  if (schema.$ref) return document.components.schemas[nameOf(schema)] || {};
  const choices = (schema.anyOf || schema.oneOf || []).filter((/** @type {Json} */ choice) => choice.type !== "null");
  return choices.length === 1 ? { ...resolved(document, choices[0]), ...without(schema) } : schema;
}

/** @param {Json} schema */
function without({ anyOf, oneOf, ...rest }) {
  return rest;
}

/**
 * Return a schema's type in a word or two.
 * @param {Json} schema
 * @returns {string}
 */
export function typeOf(schema) {
  if (schema.$ref) return nameOf(schema);
  if (schema.enum) return schema.enum.map((/** @type {unknown} */ value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  const choices = schema.anyOf || schema.oneOf;
  if (choices) return [...new Set(choices.map(typeOf))].join(" or ");
  if (schema.type === "array") return `list of ${schema.items ? typeOf(schema.items) : "anything"}`;
  if (Array.isArray(schema.type)) return schema.type.join(" or ");
  return schema.format ? `${schema.type} (${schema.format})` : schema.type || "anything";
}

/**
 * Return the limits of a schema as text.
 * @param {Json} schema
 */
export function limitsOf(schema) {
  /** @type {[string, string][]} */
  const limits = [
    ["minimum", "≥ "], ["exclusiveMinimum", "> "], ["maximum", "≤ "], ["exclusiveMaximum", "< "],
    ["minLength", "characters ≥ "], ["maxLength", "characters ≤ "], ["minItems", "entries ≥ "], ["maxItems", "entries ≤ "],
  ];
  const texts = limits.filter(([name]) => name in schema).map(([name, text]) => text + schema[name]);
  if ("default" in schema && schema.default !== null) texts.push(`default ${JSON.stringify(schema.default)}`);
  return texts.join(", ");
}

/**
 * Return a value that a schema accepts.
 * @param {Json} document
 * @param {Json} schema
 * @param {number} depth
 * @returns {any}
 */
export function exampleOf(document, schema, depth = 0) {
  if (schema.examples?.length) return schema.examples[0];
  if ("example" in schema) return schema.example;
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.$ref) return depth > DEEPEST_EXAMPLE ? {} : exampleOf(document, resolved(document, schema), depth + 1);
  const choices = schema.anyOf || schema.oneOf;
  if (choices) return exampleOf(document, choices.find((/** @type {Json} */ choice) => choice.type !== "null") || {}, depth + 1);
  if (schema.default !== undefined && schema.default !== null) return schema.default;
  if (schema.properties) {
    const required = new Set(schema.required || []);
    const names = Object.keys(schema.properties).filter((name) => required.size === 0 || required.has(name) || depth > 0);
    return Object.fromEntries(names.map((name) => [name, exampleOf(document, schema.properties[name], depth + 1)]));
  }
  switch (schema.type) {
    case "array": return depth > DEEPEST_EXAMPLE || !schema.items ? [] : [exampleOf(document, schema.items, depth + 1)];
    case "integer": return Math.max(1, schema.minimum ?? 1);
    case "number": return Math.max(1.5, schema.minimum ?? 1.5);
    case "boolean": return true;
    case "object": return {};
    case "string": return schema.format === "date-time" ? "2026-01-31T12:00:00Z" : schema.format === "date" ? "2026-01-31" : "text";
    default: return null;
  }
}

/**
 * Return the body that a form begins with: the example, or what the schema accepts; nothing for a file without one.
 * @param {Json} document
 * @param {string} type
 * @param {Json} media
 * @returns {string}
 */
export function bodyOf(document, type, media) {
  if (media.example === undefined && !type.includes("json")) return "";
  const body = media.example ?? exampleOf(document, media.schema || {});
  return typeof body === "string" ? body : JSON.stringify(body, null, 2);
}

/**
 * Return the values that a form begins with: the examples of what must be sent.
 * @param {Json[]} parameters
 */
export function requiredOf(parameters) {
  const required = parameters.filter((parameter) => parameter.required && parameter.example !== undefined);
  return Object.fromEntries(required.map((parameter) => [`${parameter.in}.${parameter.name}`, String(parameter.example)]));
}

/**
 * Return the answers of an operation: the successful ones, the statuses of problems by their component, and recorded
 * examples of problems.
 * @param {Json} operation
 */
export function answersOf(operation) {
  const successes = [];
  /** @type {Map<string, string[]>} */
  const problems = new Map();
  /** @type {{status: string, problem: Json}[]} */
  const examples = [];
  for (const [status, answer] of Object.entries(operation.responses)) {
    const problem = answer.content?.["application/problem+json"];
    if (problem) {
      const name = nameOf(problem.schema);
      problems.set(name, [...(problems.get(name) || []), status]);
      if (problem.example) examples.push({ status, problem: problem.example });
    } else {
      successes.push({ status, answer });
    }
  }
  return { successes, problems: [...problems], examples };
}

const CREDENTIALS = /** @type {Record<string, string>} */ ({ token: "a user's token", key: "an API key", admin: "a token of staff" });

/**
 * Return in words which credential an operation takes.
 * @param {Json} operation
 */
export function credentialOf(operation) {
  /** @type {Json[]} */
  const choices = operation.security || [{}];
  const texts = choices.map((choice) => Object.keys(choice).map((name) => CREDENTIALS[name] || name).join(" and ")).filter(Boolean);
  if (!texts.length) return "No credential is needed.";
  const text = texts.join(", or ");
  return choices.some((choice) => !Object.keys(choice).length) ? `Optional credential: ${text}.` : `Needs ${text}.`;
}

/**
 * Return the request that a filled form describes.
 * @param {Operation} operation
 * @param {Record<string, string>} values by `in` and name of the parameter, such as `query.k`
 * @param {string} body
 * @param {{token: string, key: string}} credentials
 */
export function requestOf({ method, path, operation }, values, body, credentials) {
  /** @type {Record<string, string>} */
  const headers = {};
  const query = new URLSearchParams();
  let url = path;
  for (const parameter of operation.parameters || []) {
    const value = values[`${parameter.in}.${parameter.name}`];
    if (value === undefined || value === "") continue;
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (parameter.in === "query") query.append(parameter.name, value);
    else if (parameter.in === "header") headers[parameter.name] = value;
  }
  if (credentials.token) headers.Authorization = `Bearer ${credentials.token}`;
  if (credentials.key) headers["X-API-Key"] = credentials.key;
  const types = Object.keys(operation.requestBody?.content || {});
  if (types[0] && body) headers["Content-Type"] = types[0];
  const text = query.toString();
  return { url: text ? `${url}?${text}` : url, method: method.toUpperCase(), headers, body: types.length && body ? body : undefined };
}

/**
 * Return a request as a command of the shell.
 * @param {{url: string, method: string, headers: Record<string, string>, body?: string}} request
 * @param {string} origin
 */
export function curlOf({ url, method, headers, body }, origin) {
  const quoted = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = ["curl", ...(method === "GET" ? [] : ["-X", method]), quoted(origin + url)];
  for (const [name, value] of Object.entries(headers)) parts.push("-H", quoted(`${name}: ${value}`));
  if (body) parts.push("-d", quoted(body));
  return parts.join(" ");
}
