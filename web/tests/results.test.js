import assert from "node:assert/strict";
import test from "node:test";

import { queuesOf, servicesOf, usageOf } from "../src/lib/admin.js";
import { currencyOf, linkOf, linksOf, weatherOf } from "../src/lib/results.js";

const ODD = [undefined, null, 7, "x", [], {}, { days: 5 }, { days: [null, 3, { date: "never", temperature_max: 1 }] }, { current: [] }, { articles: "x" }, { results: [null, {}] },
  { rate: "9", result: Number.NaN }, { series: [{ date: "2026-01-01", rate: "1" }] }];

test("what has not the shape is no weather, no money, no list", () => {
  for (const result of ODD.filter((one) => one !== null && one !== undefined)) {
    assert.deepEqual([weatherOf(result), currencyOf(result), linksOf(result)], [null, null, null], JSON.stringify(result));
  }
});

test("a forecast of three days or more is a line", () => {
  const day = (date) => ({ date, temperature_min: 1, temperature_max: 2 });
  assert.equal(weatherOf({ days: [day("2026-01-01"), day("2026-01-02")] }).series, null);
  const { series, days, degree } = weatherOf({ location: "Kigali", units: { temperature: "°F" }, days: [day("2026-01-03"), day("2026-01-01"), day("2026-01-02")] });
  assert.deepEqual(series.lines, [[2, 2, 2], [1, 1, 1]]);
  assert.deepEqual(series.times, [...series.times].sort((a, b) => a - b));
  assert.deepEqual([days.length, degree], [3, "°F"]);
});

test("only addresses of the Web lead anywhere", () => {
  assert.equal(linkOf("https://example.org/a?b"), "https://example.org/a?b");
  for (const address of ["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//example.org", "", null, {}]) {
    assert.equal(linkOf(address), "", String(address));
  }
});

test("articles, pages and places are rows with a title", () => {
  assert.deepEqual(linksOf({ places: [{ name: "Nyarutarama", type: "bus_station", website: "http://example.org", distance_m: 120.4 }, { name: "" }] }),
    [{ title: "Nyarutarama", url: "http://example.org/", about: "bus station", date: null, text: "", distance: 120.4 }]);
});

test("usage is summed up, services are told with their latency", () => {
  const row = (at) => ({ at, requests: 2, prompt_tokens: 3, completion_tokens: 4, tool_calls: 1, errors: 0 });
  assert.deepEqual(usageOf({ usage: [row("2026-01-01T00:00:00Z"), row("2026-01-02T00:00:00Z")] }).totals, { requests: 4, tokens: 14, tools: 2, errors: 0 });
  const health = { services: { redis: { status: "healthy", latency: 1 }, database: { status: "unhealthy" } } };
  assert.deepEqual(servicesOf({ services: [{ name: "redis", state: "closed", failures: 0 }] }, health), [
    { name: "redis", state: "closed", failures: 0, latency: 1 }, { name: "database", state: "unhealthy", failures: null, latency: null },
  ]);
  assert.deepEqual(queuesOf({ queue: null }), []);
  assert.deepEqual(queuesOf({ queue: { waiting: 2, dead: 0, oldest_secs: 9 } }), [{ name: "waiting", depth: 2 }, { name: "dead", depth: 0 }]);
});
