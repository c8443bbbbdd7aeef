/*
 * router.js - which page is shown: the part of the address after "#", so that the front needs to know of none.
 */

import { signal } from "@preact/signals";

/* "#/c/ID" gives {name: "c", part: "ID"}; an empty one is the chat that is new. */
export function parseRoute(hash) {
  const [name = "", part = ""] = hash.replace(/^#?\/?/, "").split("/").map(decode);
  return { name, part };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const hrefOf = (name = "", part = "") => `#/${[name, part].filter(Boolean).map(encodeURIComponent).join("/")}`;

export const route = signal(parseRoute(globalThis.location?.hash ?? ""));

/* Where the person is now: the browser tells of it, and `route` follows, a moment after the address has changed. */
export const here = () => parseRoute(location.hash);

export function go(name, part) {
  const href = hrefOf(name, part);
  if (location.hash === href) {
    route.value = parseRoute(href);
  } else {
    location.hash = href;
  }
}

/* The address changes, but not what is shown: a new chat got its name. */
export function rename(name, part) {
  history.replaceState(null, "", hrefOf(name, part));
  route.value = parseRoute(location.hash);
}

export function startRouter() {
  addEventListener("hashchange", () => { route.value = parseRoute(location.hash); });
}
