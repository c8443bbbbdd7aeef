/*
 * admin.js - what GET /api/admin/... says, made fit to be shown.
 */

import { parseDate } from "./format.js";

const KINDS = ["requests", "tokens", "tools", "errors"];

const sumsOf = (row) => ({
  requests: row.requests, tokens: row.prompt_tokens + row.completion_tokens, tools: row.tool_calls, errors: row.errors,
});

/* Of each hour or day: when it begins, and what was in it; and the sums over all. */
export function usageOf({ usage }) {
  const rows = usage.map((row) => ({ at: parseDate(row.at), ...sumsOf(row) })).filter(({ at }) => at !== null);
  const totals = Object.fromEntries(KINDS.map((kind) => [kind, rows.reduce((sum, row) => sum + row[kind], 0)]));
  return { rows, totals };
}

/* Who used most; guests, who are one together, have no name. */
export const peopleOf = ({ users }) => users.map((row) => ({ name: row.email ?? "", ...sumsOf(row) }));

/* Services: their breakers, and where the health check knows it, how they do and how long they take.  `health`
   may be null. */
export function servicesOf({ services }, health) {
  const known = health?.services ?? {};
  const rows = services.map(({ name, state, failures }) => ({ name, state, failures: failures ?? null, latency: known[name]?.latency ?? null }));
  const others = Object.entries(known).filter(([name]) => !rows.some((row) => row.name === name))
    .map(([name, { status, latency }]) => ({ name, state: status, failures: null, latency: latency ?? null }));
  return [...rows, ...others];
}

/* {name, hits, misses} of each tool's cache. */
export const cachesOf = ({ cache }) => Object.entries(cache ?? {}).map(([name, { hits, misses }]) => ({ name, hits, misses }));

/* {name, depth} of each part of the queue; none without Redis. */
export const queuesOf = ({ queue }) => ["waiting", "running", "delayed", "dead"].filter((name) => typeof queue?.[name] === "number")
  .map((name) => ({ name, depth: queue[name] }));
