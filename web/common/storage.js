/** The browser's storage, which a browser may refuse to give: then values live as long as the page. */

/**
 * @param {"localStorage" | "sessionStorage"} kind
 * @returns {{read: (key: string) => string | null, write: (key: string, value: string | null) => void}}
 */
function storageOf(kind) {
  /** @type {Map<string, string>} */
  const here = new Map();
  return {
    read(key) {
      try {
        return window[kind].getItem(key) ?? here.get(key) ?? null;
      } catch {
        return here.get(key) ?? null;
      }
    },
    write(key, value) {
      if (value === null) here.delete(key);
      else here.set(key, value);
      try {
        if (value === null) window[kind].removeItem(key);
        else window[kind].setItem(key, value);
      } catch {
        // private windows and full storages: the map above has it
      }
    },
  };
}

/** Shared by all tabs, and kept when the browser closes. */
export const lasting = storageOf("localStorage");
/** Of this tab alone, until it closes. */
export const ofThisTab = storageOf("sessionStorage");
