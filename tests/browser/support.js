// support.js - a Chromium, pages of it, and the mock model's controls.
//
// Environment: PAGE_URL    the page, before real workers
//              MOCK_URL    the scriptable model behind them (tests/mock/model.py)
//              MODEL       the name that it goes by
//              WORKER_PID  the worker that serves this file's tests
//              CHROMIUM    the browser's program
//              ARTEFACTS   directory for screenshots
// Tests before the mock of the API (page_*.test.js, see pages.js) need the last two only.

import { script as mockScript } from '../mock/control.mjs';
import assert from 'node:assert/strict';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';

// Costs nothing where things work; a machine that does ten other things may need most of it.
const WAIT_MS = 120_000;
const LAUNCH_MS = 120_000;
const POLL_MS = 20;

export const pageURL = process.env.PAGE_URL;
export const workerPid = Number(process.env.WORKER_PID);

export const phone = { width: 320, height: 640 };
export const desktop = { width: 1100, height: 720 };

/* --- the browser ----------------------------------------------------------------------------- */

// Each run has a new profile, which playwright removes with the browser.
export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM,
  timeout: LAUNCH_MS,
  args: ['--disable-gpu', '--disable-smooth-scrolling', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});

/* Notices go away by themselves after seconds in which a busy machine may not have looked. */
const keepNotices = () => {
  const [from, to, stays] = [6000, 15_000, 120_000];
  const plan = window.setTimeout;
  window.setTimeout = (run, ms, ...more) => plan(run, ms >= from && ms <= to ? stays : ms, ...more);
};

let failures = 0;

/* Opens the page in a context of its own for `body`, and fails on any error that the browser reports:
   an exception, a violation of the content security policy, a file that is not there.  `faults` are
   patterns of those that the test provokes, each of which must come, `tolerated` of those that may; `prepare` sees the context before the page. */
export async function withPage(browser, body, { url = pageURL, viewport = desktop, faults = [], tolerated = [], prepare = () => {}, ...options } = {}) {
  const context = await browser.newContext({ viewport, ...options });
  context.setDefaultTimeout(WAIT_MS);
  await context.addInitScript(keepNotices);
  await prepare(context);
  const page = await context.newPage();
  try {
    const seen = [];
    page.on('console', (message) => message.type() === 'error' && seen.push(message.text()));
    page.on('pageerror', (error) => seen.push(String(error)));
    await page.goto(url);
    await page.locator('main > *').first().waitFor();       // the pages' words are there
    await body(page, context);
    assert.deepEqual(seen.filter((text) => ![...faults, ...tolerated].some((fault) => fault.test(text))), []);
    assert.deepEqual(faults.filter((fault) => !seen.some((text) => fault.test(text))), [], 'these faults did not come');
  } catch (error) {
    const name = `failed-${process.pid}-${++failures}`;
    await screenshot(page, name).catch(() => {});
    error.message += `\n(at ${page.url()}, see ${name}.png)`;
    throw error;
  } finally {
    await context.close();
  }
}

/* Reads until it is as expected; what it was in the end is told otherwise. */
export async function eventually(read, expected) {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    try {
      return assert.deepEqual(await read(), expected);
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(POLL_MS);
  }
}

export const screenshot = (page, name) => page.screenshot({ path: path.join(process.env.ARTEFACTS, `${name}.png`) });

/* --- what a person does and sees ------------------------------------------------------------- */

export async function ask(page, text) {
  await page.fill('#draft', text);
  await page.click('#send');
}

export const texts = async (page, role) => (await page.locator(`.${role} .text`).allInnerTexts()).map((text) => text.trim());
export const notes = (page) => page.locator('.note').allTextContents();
export const problem = (page) => page.locator('#problem-text').allTextContents();
export const draft = (page) => page.inputValue('#draft');
/* What is typed goes to the box, which has the focus from the start. */
export const whenFocused = (page, selector = '#draft') => page.locator(`${selector}:focus`).waitFor();
export const whenReady = (page) => page.locator('#send').waitFor({ state: 'visible' });

/* --- the mock model -------------------------------------------------------------------------- */

// A script of tests/mock/control.mjs, and what the page asked by it.
export async function script(...behaviours) {
  const mock = await mockScript(...behaviours);
  return {
    ...mock,
    messages: async () => (await mock.requests()).map((request) => request.messages),
    wait: async (state) => (await mock.wait(state))[0],
  };
}

const chunk = (delta, finish_reason = null) => ({
  id: 'chatcmpl-mock0001', object: 'chat.completion.chunk', created: 1767225600, model: process.env.MODEL,
  choices: [{ index: 0, delta, finish_reason }],
});

const head = ['head', 200, [['Content-Type', 'text/event-stream'], ['Transfer-Encoding', 'chunked']]];

export const say = (content) => ['event', chunk({ content })];
/* An answer that asks the server to use tools: [name, arguments]. */
export const useTools = (...calls) => begin(
  ...calls.map(([name, args], index) => ['event', chunk({ tool_calls: [{ index, id: `call_${index}`, type: 'function', function: { name, arguments: JSON.stringify(args) } }] })]),
  ['event', chunk({}, 'tool_calls')], ['event', '[DONE]']);
export const gate = (name) => ['gate', name];
export const hang = ['hang'];

/* A streamed answer, whole or cut off after its steps. */
export const begin = (...steps) => [head, ...steps];
export const answer = (...steps) => begin(...steps, ['event', chunk({}, 'stop')], ['event', '[DONE]']);

export function status(code, message, headers = []) {
  const body = JSON.stringify({ error: { message, type: 'mock', param: null, code: null } });
  return [['head', code, [['Content-Type', 'application/json'], ['Content-Length', String(body.length)], ...headers]],
    ['send', body]];
}
