import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import vm from "node:vm";

const SOURCE = await readFile(new URL("../src/sw.js", import.meta.url), "utf8");

/* The worker in a world of its own, before a cache that does what `put` says.  Gives what it answers to a request. */
function workerWith({ put, match = async () => undefined, fetch }) {
  const listeners = {};
  vm.runInNewContext(SOURCE, {
    URL, Response, Set, Promise, fetch, BAKAME_SHELL: [],
    addEventListener: (name, listener) => { listeners[name] = listener; },
    caches: { match, open: async () => ({ put, keys: async () => [] }) },
    location: { origin: "https://chat.example.org" },
  });
  return (path, mode = "cors") => new Promise((resolve, reject) => {
    listeners.fetch({
      request: { method: "GET", mode, url: `https://chat.example.org${path}` },
      respondWith: (answer) => answer.then(resolve, reject),
    });
  });
}

test("a cache without room keeps nobody from the page", async () => {
  const put = async () => { throw new DOMException("no room", "QuotaExceededError"); };
  const ask = workerWith({ put, fetch: async () => new Response("fresh"), match: async (what) => (what === "/" ? new Response("old") : undefined) });
  assert.equal(await (await ask("/", "navigate")).text(), "fresh");
  assert.equal(await (await ask("/assets/main-1.js")).text(), "fresh");
});

test("nor does one that cannot be read", async () => {
  const fails = async () => { throw new DOMException("internal error", "UnknownError"); };
  const ask = workerWith({ put: fails, fetch: async () => new Response("fresh"), match: fails });
  assert.equal(await (await ask("/assets/main-1.js")).text(), "fresh");
});

test("what was used is kept, what failed is not, and without a network the kept page comes", async () => {
  const kept = [];
  const put = async (request) => { kept.push(request.url ?? request); };
  await workerWith({ put, fetch: async () => new Response("fresh") })("/assets/main-1.js");
  await workerWith({ put, fetch: async () => new Response("gone", { status: 404 }) })("/assets/main-0.js");
  assert.deepEqual(kept, ["https://chat.example.org/assets/main-1.js"]);
  const offline = workerWith({ put, fetch: async () => { throw new TypeError("no network"); }, match: async () => new Response("kept") });
  assert.equal(await (await offline("/", "navigate")).text(), "kept");
});
