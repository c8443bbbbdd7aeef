import assert from "node:assert/strict";
import test from "node:test";

import { askModel, ChatError, messagesToSend } from "../src/lib/chat.js";

const QUESTION = [{ role: "user", content: "Hello" }];

const event = (value) => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`;
const words = (text, finish_reason = null) => event({ model: "m", choices: [{ index: 0, delta: { content: text }, finish_reason }] });

/* A server that answers with these pieces, then ends, breaks or hangs. */
function serverOf(pieces, { end = "close", status = 200, headers = {} } = {}) {
  const seen = { requests: [], aborted: false };
  const fetch = async (url, options) => {
    seen.requests.push({ url, ...options, body: JSON.parse(options.body) });
    const body = new ReadableStream({
      start(controller) {
        options.signal.addEventListener("abort", () => {
          seen.aborted = true;
          controller.error(options.signal.reason);
        });
        for (const piece of pieces) {
          controller.enqueue(new TextEncoder().encode(piece));
        }
        if (end === "close") {
          controller.close();
        } else if (end === "break") {
          setTimeout(() => controller.error(new TypeError("network error")), 5);
        }
      },
    });
    return new Response(body, { status, headers });
  };
  return { fetch, seen };
}

async function failureOf(promise) {
  const error = await promise.then(() => assert.fail("it did not fail"), (reason) => reason);
  assert.ok(error instanceof ChatError, String(error));
  return error;
}

test("tells text, tools and the model as they come", async () => {
  const told = { text: "", tools: [], models: [] };
  const { fetch, seen } = serverOf([
    event({ model: "m", choices: [], bakame: { request_id: "r" } }),
    event({ model: "m", choices: [], bakame: { tool: { id: "call_1", name: "weather", status: "running" } } }),
    ": ping\n\n",
    words("Light "), words("rain"), words("", "stop"),
    event({ model: "m", choices: [], usage: { total_tokens: 9 } }),
    event("[DONE]"),
  ]);
  const ended = await askModel({ messages: QUESTION }, {
    fetch,
    on: { text: (text) => { told.text += text; }, tool: (tool) => told.tools.push(tool), model: (name) => told.models.push(name) },
  });
  assert.deepEqual(ended, { finishReason: "stop" });
  assert.equal(told.text, "Light rain");
  assert.deepEqual(told.tools.map((tool) => tool.status), ["running"]);
  assert.deepEqual(told.models, ["m"]);
  assert.equal(seen.requests[0].url, "/api/chat");
  assert.deepEqual(seen.requests[0].body, { messages: QUESTION });
  assert.equal(seen.aborted, false);
});

test("a refusal carries the server's words and the wait", async () => {
  const body = JSON.stringify({ error: { type: "rate_limit_exceeded", message: "Too many requests." } });
  const { fetch } = serverOf([body], { status: 429, headers: { "Retry-After": "12" } });
  const error = await failureOf(askModel({ messages: QUESTION }, { fetch }));
  assert.deepEqual([error.kind, error.status, error.retryAfterSecs, error.message], ["refused", 429, 12, "Too many requests."]);
});

test("a refusal that is not JSON still says something", async () => {
  const { fetch } = serverOf(["<html>Bad Gateway</html>"], { status: 502 });
  const error = await failureOf(askModel({ messages: QUESTION }, { fetch }));
  assert.deepEqual([error.kind, error.status, error.retryAfterSecs], ["refused", 502, 0]);
  assert.match(error.message, /502/);
});

test("no server at all", async () => {
  const error = await failureOf(askModel({ messages: QUESTION }, { fetch: async () => { throw new TypeError("Failed to fetch"); } }));
  assert.equal(error.kind, "unreachable");
});

test("a stream that ends without [DONE] is lost", async () => {
  let text = "";
  const { fetch } = serverOf([words("half"), words(" an answer", "stop")]);
  const error = await failureOf(askModel({ messages: QUESTION }, { fetch, on: { text: (more) => { text += more; } } }));
  assert.equal(error.kind, "lost");
  assert.equal(text, "half an answer");
});

test("a stream that breaks is lost, but not after [DONE]", async () => {
  assert.equal((await failureOf(askModel({ messages: QUESTION }, { fetch: serverOf([words("half")], { end: "break" }).fetch }))).kind, "lost");
  const { fetch } = serverOf([words("whole", "stop"), event("[DONE]")], { end: "break" });
  assert.deepEqual(await askModel({ messages: QUESTION }, { fetch }), { finishReason: "stop" });
});

test("an error event in the middle says what the server said, and ends the request", async () => {
  const { fetch, seen } = serverOf([words("half"), event({ error: { type: "upstream_timeout", message: "The model fell silent." } })],
    { end: "hang" });
  const error = await failureOf(askModel({ messages: QUESTION }, { fetch }));
  assert.deepEqual([error.kind, error.message], ["failed", "The model fell silent."]);
  assert.equal(seen.aborted, true);
});

test("an event that is not JSON fails", async () => {
  const { fetch } = serverOf([event("{oops")], { end: "hang" });
  assert.equal((await failureOf(askModel({ messages: QUESTION }, { fetch }))).kind, "failed");
});

test("silence longer than the pings allow is a lost connection", async () => {
  const { fetch, seen } = serverOf([words("half")], { end: "hang" });
  const error = await failureOf(askModel({ messages: QUESTION }, { fetch, silenceMaxMs: 20 }));
  assert.equal(error.kind, "lost");
  assert.equal(seen.aborted, true);
});

/* A clock that stands still but when it is put forward: how busy the machine is does not matter. */
function withClock(run) {
  const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  const timers = new Map();
  let now = 0;
  let serial = 0;
  globalThis.setTimeout = (call, ms) => { timers.set(++serial, { call, at: now + ms }); return serial; };
  globalThis.clearTimeout = (timer) => { timers.delete(timer); };
  const pass = (ms) => {
    now += ms;
    for (const [timer, { call, at }] of [...timers].filter(([, one]) => one.at <= now)) {
      timers.delete(timer);
      call();
    }
  };
  return run(pass).finally(() => Object.assign(globalThis, real));
}

/* A server that says these things, each so long after the one before. */
const slowly = (pieces, ms, pass) => async (url, { signal }) => new Response(new ReadableStream({
  pull(controller) {
    pass(ms);
    signal.throwIfAborted();
    const piece = pieces.shift();
    piece === undefined ? controller.close() : controller.enqueue(new TextEncoder().encode(piece));
  },
}, { highWaterMark: 0 }));

test("pings keep a long answer alive", () => withClock(async (pass) => {
  const pieces = [words("long"), ...Array(8).fill(": ping\n\n"), words("", "stop"), event("[DONE]")];
  assert.deepEqual(await askModel({ messages: QUESTION }, { fetch: slowly(pieces, 15, pass), silenceMaxMs: 100 }), { finishReason: "stop" });
}));

test("stopping aborts the request, before and in the middle of the answer", async () => {
  const before = new AbortController();
  before.abort();
  const refusing = async (url, { signal }) => { signal.throwIfAborted(); };
  assert.equal((await failureOf(askModel({ messages: QUESTION }, { fetch: refusing, signal: before.signal }))).kind, "stopped");

  const middle = new AbortController();
  const { fetch, seen } = serverOf([words("half")], { end: "hang" });
  const asked = askModel({ messages: QUESTION }, { fetch, signal: middle.signal, on: { text: () => setTimeout(() => middle.abort(), 5) } });
  assert.equal((await failureOf(asked)).kind, "stopped");
  assert.equal(seen.aborted, true);
});

test("a long conversation sends its end, from a user's message on", () => {
  const long = Array.from({ length: 401 }, (_, i) => ({ role: i % 2 === 0 ? "user" : "assistant", content: `${i}` }));
  const sent = messagesToSend(long);
  assert.equal(sent.length, 199);
  assert.equal(sent[0].role, "user");
  assert.equal(sent.at(-1).content, "400");
});

test("a large conversation is cut by bytes, but never the question itself", () => {
  const large = ["user", "assistant", "user"].map((role) => ({ role, content: "é".repeat(1000) }));
  assert.deepEqual(messagesToSend(large, 5000), [large[2]]);
  assert.deepEqual(messagesToSend(large, 10), [large[2]]);
  assert.deepEqual(messagesToSend(large, 7000), large);
});

test("what came while the tab slept is read, however long that was", async () => {
  const { now } = Date;
  const { setTimeout: plan } = globalThis;
  let late;
  let stream;
  const waits = new Promise((resolve) => {
    globalThis.setTimeout = (run, ms, ...more) => {
      late = run;
      resolve();
      return plan(run, ms, ...more);
    };
  });
  const fetch = async (url, { signal }) => new Response(new ReadableStream({
    start(controller) {
      stream = controller;
      signal.addEventListener("abort", () => controller.error(signal.reason));
    },
  }));
  try {
    const answer = askModel({ messages: QUESTION }, { fetch });
    await waits;
    Date.now = () => now() + 3_600_000;
    late();             // the timers run first
    stream.enqueue(new TextEncoder().encode(words("All of it", "stop") + event("[DONE]")));
    stream.close();
    assert.deepEqual(await answer, { finishReason: "stop" });
  } finally {
    Date.now = now;
    globalThis.setTimeout = plan;
  }
});
