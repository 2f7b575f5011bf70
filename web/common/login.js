/**
 * The tokens of one login: the access token in memory, the refresh token in the storage that the page chooses.
 *
 * A refresh token is valid once. Tabs that share a storage refresh one after the other (Web Locks), and each reads the
 * newest token first, so that none of them uses a token up that another has used already.
 */

import { createApi, Problem } from "./api.js";

/**
 * @typedef {object} Tokens
 * @property {string} access_token
 * @property {string} refresh_token
 * @property {number} expires_in seconds
 * @property {string} user_id
 */

/**
 * @param {object} settings
 * @param {string} settings.base address of the API
 * @param {string} settings.key key of the storage
 * @param {{read: (key: string) => string | null, write: (key: string, value: string | null) => void}} settings.storage
 * @param {() => void} [settings.onEnd] is called when the login has ended elsewhere, or by its age
 */
export function createLogin({ base, key, storage, onEnd }) {
  const api = createApi({ base });
  /** @type {string | null} */
  let access = null;
  let validUntil = 0;
  /** @type {Promise<boolean> | null} */
  let renewal = null;

  /** @returns {{user_id: string, refresh_token: string} | null} */
  function stored() {
    try {
      const value = JSON.parse(storage.read(key) ?? "null");
      return value && typeof value.user_id === "string" && typeof value.refresh_token === "string" ? value : null;
    } catch {
      return null;
    }
  }

  /** @param {Tokens} tokens */
  function keep(tokens) {
    access = tokens.access_token;
    // renewed a little before the server refuses it
    validUntil = Date.now() + (tokens.expires_in - 30) * 1000;
    storage.write(key, JSON.stringify({ user_id: tokens.user_id, refresh_token: tokens.refresh_token }));
  }

  function forget() {
    access = null;
    validUntil = 0;
    storage.write(key, null);
  }

  /** Returns whether there are new tokens. Throws Problem if the server cannot be reached or does not answer. */
  async function refresh() {
    const newest = stored();
    if (newest === null) return false;
    try {
      keep((await api.post("/auth/refresh", { refresh_token: newest.refresh_token })).body);
      return true;
    } catch (error) {
      if (!(error instanceof Problem) || error.isPassing) throw error;
      forget();
      onEnd?.();
      return false;
    }
  }

  /** Refreshes after other tabs that do so now; browsers without Web Locks do not wait. */
  async function refreshInTurn() {
    return navigator.locks ? await navigator.locks.request(`aisle-${key}`, refresh) : await refresh();
  }

  function renew() {
    renewal ??= refreshInTurn().finally(() => {
      renewal = null;
    });
    return renewal;
  }

  return {
    keep,
    forget,
    userId: () => stored()?.user_id ?? null,
    refreshToken: () => stored()?.refresh_token ?? null,
    async token() {
      if (access === null || Date.now() >= validUntil) await renew();
      return access;
    },
    /** @param {string} refused */
    async renew(refused) {
      return access !== null && access !== refused ? true : renew();
    },
    /** Ends the login on the server, if that answers, and here in any case. */
    async end() {
      const token = stored()?.refresh_token;
      forget();
      if (token) await api.post("/auth/logout", { refresh_token: token }).catch(() => undefined);
    },
  };
}

/** @typedef {ReturnType<typeof createLogin>} Login */
