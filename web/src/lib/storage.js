/*
 * storage.js - what the browser keeps for us.
 *
 * Storage may be full or forbidden; then the page works on, and forgets when it is left.
 */

function keeper(find) {
  const unkept = new Map();     // what found no room, as JSON
  return {
    /* The value as it was set, or null. */
    get(name) {
      if (unkept.has(name)) {
        return JSON.parse(unkept.get(name));
      }
      try {
        return JSON.parse(find().getItem(`bakame-${name}`));
      } catch {
        return null;
      }
    },
    /* undefined, null and "" take the name away.  False when it is kept only until the page is left. */
    set(name, value) {
      const isGone = value === undefined || value === null || value === "";
      unkept.delete(name);
      try {
        if (isGone) {
          find().removeItem(`bakame-${name}`);
        } else {
          find().setItem(`bakame-${name}`, JSON.stringify(value));
        }
        return true;
      } catch {
        if (!isGone) {
          unkept.set(name, JSON.stringify(value));
        }
        return false;
      }
    },
    /* Forget all names that begin so. */
    clear(prefix) {
      [...unkept.keys()].filter((name) => name.startsWith(prefix)).forEach((name) => unkept.delete(name));
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
