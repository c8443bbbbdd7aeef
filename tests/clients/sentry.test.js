// Our events reach a real receiver (Spotlight's sidecar), and Sentry's own library reads them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { test } from "node:test";
import { parseEnvelope } from "@sentry/core";

const KEY = "0123456789abcdef0123456789abcdef";
// in a process of its own: it has no way to be stopped
const RECEIVER = 'import { setupSidecar } from "@spotlightjs/sidecar"; setupSidecar({ port: Number(process.env.PORT) });';

const untilItAnswers = async (address) => {
  for (let tries = 0; tries < 1200; tries++) {
    if (await fetch(address).then((answer) => answer.ok, () => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${address} does not answer`);
};

// { code, output } of a program
const run = (program, words, env) => new Promise((resolve) => {
  const child = spawn(program, words, { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (output += data));
  child.on("close", (code) => resolve({ code, output }));
});

// The first envelope that the receiver passes on to those who watch it.
const firstEnvelope = async (address) => {
  const answer = await fetch(`${address}/stream?base64=1`, { headers: { Accept: "text/event-stream" } });
  let text = "";
  for await (const part of answer.body) {
    text += Buffer.from(part).toString();
    const data = /^event:application\/x-sentry-envelope;base64\ndata:(\S+)\n/m.exec(text);
    if (data) return Buffer.from(data[1], "base64").toString();
  }
  throw new Error("the receiver ended");
};

test('the library of Sentry reads what a real receiver got', async (t) => {
  const port = Number(process.env.FREE_PORT);     // which is kept free for us
  const address = `http://127.0.0.1:${port}`;
  const receiver = spawn(process.execPath, ["--input-type=module", "-e", RECEIVER], {
    cwd: new URL(".", import.meta.url).pathname, env: { PATH: process.env.PATH, PORT: String(port) }, stdio: "ignore",
  });
  t.after(() => receiver.kill());
  await untilItAnswers(`${address}/health`);
  const { code, output } = await run(process.env.BAKAMECTL, ["sentry-test"], {
    PATH: process.env.PATH, OPENAI_API_KEY: "unused", SENTRY_DSN: `http://${KEY}@127.0.0.1:${port}/42`,
  });
  assert.equal(code, 0, output);
  assert.match(output, /The event was taken/);

  const [header, items] = parseEnvelope(await firstEnvelope(address));
  assert.match(header.event_id, /^[0-9a-f]{32}$/);
  assert.equal(items.length, 1);
  const [[itemHeader, payload]] = items;
  const event = JSON.parse(Buffer.from(payload).toString());
  assert.equal(itemHeader.type, "event");
  assert.equal(event.event_id, header.event_id);
  assert.equal(event.level, "error");
  assert.equal(event.logentry.formatted, "a test of error tracking");
  assert.match(event.release, /^bakame@/);
});
