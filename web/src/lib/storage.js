/*
 * storage.js - what the browser keeps for us.
 *
 * Storage may be full or forbidden; then the page works on, and forgets.
 */

function keeper(find) {
  return {
    /* The value as it was set, or null. */
    get(name) {
      try {
        return JSON.parse(find().getItem(`bakame-${name}`));
      } catch {
        return null;
      }
    },
    /* undefined, null and "" take the name away.  False when it could not be kept. */
    set(name, value) {
      try {
        if (value === undefined || value === null || value === "") {
          find().removeItem(`bakame-${name}`);
        } else {
          find().setItem(`bakame-${name}`, JSON.stringify(value));
        }
        return true;
      } catch {
        return false;
      }
    },
    /* Forget all names that begin so. */
    clear(prefix) {
      try {
        for (const name of Object.keys(find()).filter((key) => key.startsWith(`bakame-${prefix}`))) {
          find().removeItem(name);
        }
      } catch {
        // Nothing was kept.
      }
    },
  };
}

/* Outlives the window. */
export const lasting = keeper(() => globalThis.localStorage);
/* Ends with the window, but outlives a reload. */
export const passing = keeper(() => globalThis.sessionStorage);
