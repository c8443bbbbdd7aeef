/*
 * sw.js - the service worker: lets the pages open without a network.
 *
 * Kept is what the pages are made of, never what the API says.  index.html comes from the network where there
 * is one; files of /assets/ never change, and are kept when they were used.
 */

const SHELL = "bakame-shell";

/* There may be no room left, or a cache that cannot be read, which is no reason to keep anybody from what has come. */
async function keep(request, response) {
  if (response.ok) {
    const copy = response.clone();
    await caches.open(SHELL).then((cache) => cache.put(request, copy)).catch(() => {});
  }
  return response;
}

/* Files of older versions, which no page names any more: all but the newest are let go. */
const ASSETS_MAX = 120;
async function tidy() {
  const cache = await caches.open(SHELL);
  const assets = (await cache.keys()).filter(({ url }) => new URL(url).pathname.startsWith("/assets/"));
  await Promise.all(assets.slice(0, Math.max(0, assets.length - ASSETS_MAX)).map((request) => cache.delete(request)));
}

/* The page, and what it names: enough to open without a network. */
async function keepShell() {
  const cache = await caches.open(SHELL);
  const page = await fetch("/", { cache: "no-cache" });
  const html = await page.clone().text();
  const named = [...html.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map((match) => match[1]);
  await cache.put("/", page);
  await cache.addAll([...new Set([...named, ...BAKAME_SHELL])]);
}

async function fromNetwork(request) {
  try {
    return await keep("/", await fetch(request));
  } catch (error) {
    const kept = await caches.match("/");
    if (kept) {
      return kept;
    }
    throw error;
  }
}

async function fromCache(request) {
  const kept = await caches.match(request, { ignoreVary: true }).catch(() => undefined);
  return kept ?? keep(request, await fetch(request));
}

addEventListener("install", (event) => {
  event.waitUntil(keepShell().then(() => skipWaiting()));
});
addEventListener("activate", (event) => {
  event.waitUntil(tidy().then(() => clients.claim()));
});
addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== location.origin) {
    return;
  }
  if (mode === "navigate" && (pathname === "/" || pathname === "/index.html")) {
    event.respondWith(fromNetwork(event.request));
  } else if (pathname.startsWith("/assets/") || pathname === "/icon.svg" || pathname === "/manifest.webmanifest") {
    event.respondWith(fromCache(event.request));
  }
});
