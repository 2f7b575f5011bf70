/**
 * The login of a member of staff, and the API client that uses it. The access token lives in memory and the refresh token in
 * the storage of this tab; there are no cookies.
 */

import { createApi, Problem } from "../common/api.js";
import { createLogin } from "../common/login.js";
import { ofThisTab } from "../common/storage.js";
import { createStore } from "../common/store.js";

/** @typedef {{user_id: string, username: string | null, email: string | null, role: string}} Person */
/** @typedef {{name: string, currency: string | null, time_zone: string}} Shop */

/** Who is logged in; null for nobody, undefined until that is known. @type {import("../common/store.js").Store<Person | null | undefined>} */
export const person = createStore(/** @type {Person | null | undefined} */ (undefined));
/** The shop as the pages show it. @type {import("../common/store.js").Store<Shop>} */
export const shop = createStore(/** @type {Shop} */ ({ name: "Aisle", currency: null, time_zone: "UTC" }));

const STAFF = ["support", "admin"];
let base = "";
/** @type {import("../common/login.js").Login} */
let login;
/** The client of the API. Its requests carry the access token. @type {import("../common/api.js").Api} */
export let api;

/** The account may log in, but is not staff's. */
export class NotStaff extends Error {}

/** @param {string} address of the API */
export function startSession(address) {
  base = address;
  login = createLogin({ base, key: "aisle.console", storage: ofThisTab, onEnd: () => person.set(null) });
  api = createApi({ base, credentials: login, idPrefix: "console" });
}

/** Finds out who is logged in, by the refresh token of this tab. Throws Problem if the server does not answer. */
export async function resume() {
  if (login.userId() === null) return person.set(null);
  await readPerson();
}

async function readPerson() {
  const found = (await api.get("/users/me")).body;
  if (!STAFF.includes(found.role)) {
    await logOut();
    throw new NotStaff();
  }
  person.set(found);
  const settings = (await api.get("/admin/shop")).body;
  shop.set({ name: settings.name || "Aisle", currency: settings.currency, time_zone: settings.time_zone });
}

/** @param {string} email @param {string} password */
export async function logIn(email, password) {
  login.keep((await createApi({ base }).post("/auth/login", { email, password })).body);
  await readPerson();
}

/** @param {string} old @param {string} next */
export async function changePassword(old, next) {
  login.keep((await api.post("/auth/password", { current_password: old, new_password: next })).body);
}

export async function logOut() {
  await login.end();
  person.set(null);
}

/** Whether the person may change things: admins may, support reads. */
export function mayWrite() {
  return person.get()?.role === "admin";
}

/**
 * Sends a file to an address that takes it without a login, as `POST /products/{id}/image-upload` returns one. Throws Problem.
 *
 * @param {{url: string, method: string, headers: Record<string, string>}} target @param {Blob} body
 */
export async function sendFile(target, body) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(new URL(target.url, base || location.href), { method: target.method, headers: target.headers, body, credentials: "omit" });
  } catch {
    throw new Problem(0, { type: "offline" }, "");
  }
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})), response.headers.get("X-Request-ID") ?? "");
}

/**
 * Sends a body as it is, which the JSON client does not do. Returns the JSON answer; throws Problem.
 *
 * @param {string} path @param {Blob | string} body @param {string} contentType
 */
export async function upload(path, body, contentType) {
  const token = await login.token();
  /** @type {Response} */
  let response;
  try {
    response = await fetch(base + path, {
      method: "POST",
      headers: { "Content-Type": contentType, Accept: "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      body,
      credentials: "omit",
    });
  } catch {
    throw new Problem(0, { type: "offline" }, "");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, answer, response.headers.get("X-Request-ID") ?? "");
  return answer;
}
