// measure.mjs - how heavy and how quick the pages are: prints each figure with its bound, and ends with 1 past one.
//
//   node measure.mjs [--tokens 20000] [--per-second 200]
//
// Wants web/dist (web/make-dist), npm ci here, and Debian's Chromium (or CHROMIUM).  About 2 minutes.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startApi } from './mock_api.mjs';
import { launch } from './support.js';

const THROTTLING = 4;
const LOADS = 5;
const PARTS = ['A paragraph of an answer that says **something** about `code` and goes on for a while, so that it needs two lines.\n\n',
  '- an item of a list\n- and another *one* of them\n- a third\n\n', '```js\nfunction next(value) {\n  return value + 1;\n}\n```\n\n',
  '| Town | Degrees |\n|---|---|\n| Kigali | 21 |\n| Huye | 19 |\n\n', '## A heading\n\n', '1. First do this\n2. Then do that\n\n', '> It was said before.\n\n'];

let failed = false;
function tell(what, value, unit, isGood, bound) {
  failed ||= !isGood;
  process.stdout.write(`${what.padEnd(64)} ${value.toFixed(1).padStart(9)} ${unit.padEnd(6)} ${isGood ? 'ok' : 'MISSED'}, ${bound}\n`);
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/* As a first visit: nothing cached, on a slower machine. */
async function measureLoad(browser, api) {
  const times = [];
  let bytes = 0;
  for (let i = 0; i < LOADS; i++) {
    const context = await browser.newContext({ locale: 'rw-RW', serviceWorkers: 'block' });
    const page = await context.newPage();
    const cdp = await context.newCDPSession(page);
    await cdp.send('Emulation.setCPUThrottlingRate', { rate: THROTTLING });
    await page.addInitScript(() => {
      // Interactive: the box is there, and the main thread has time for what is typed.
      new MutationObserver((_, observer) => {
        if (document.getElementById('draft')) {
          observer.disconnect();
          requestAnimationFrame(() => setTimeout(() => { window.interactiveMs = performance.now(); }));
        }
      }).observe(document, { childList: true, subtree: true });
    });
    await page.goto(api.url);
    await page.waitForFunction(() => window.interactiveMs !== undefined);
    times.push(await page.evaluate(() => window.interactiveMs));
    bytes = await page.evaluate(() => [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]
      .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0));
    await context.close();
  }
  tell('first load, all bodies over the wire', bytes / 1024, 'KiB', bytes <= 100 * 1024, 'at most 100');
  tell(`interactive with the CPU slowed ${THROTTLING} times, median of ${LOADS}`, median(times), 'ms', median(times) < 1000, 'less than 1000');
}

/* Tokens in real time; what is late is made up for, as a network does. */
async function* tokensInTime(count, perSecond) {
  const words = PARTS.join('').match(/\s*\S+\s*$|\s*\S+/g);
  const began = Date.now();
  for (let sent = 0; sent < count;) {
    const due = Math.min(count, Math.floor((Date.now() - began) / 1000 * perSecond));
    for (; sent < due; sent++) yield words[sent % words.length];
    await sleep(5);
  }
}

async function measureStream(browser, api, tokens, perSecond) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, locale: 'en-GB' });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send('Performance.enable');
  const metrics = async () => Object.fromEntries((await cdp.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]));
  await page.goto(api.url);
  api.answerFrom(tokensInTime(tokens, perSecond));
  await page.fill('#draft', 'A long one');
  await page.evaluate(() => {
    window.frames_seen = [];
    const step = (at) => { window.frames_seen.push(at); window.stepping = requestAnimationFrame(step); };
    requestAnimationFrame(step);
  });
  const busyBefore = (await metrics()).TaskDuration;
  const began = Date.now();
  await page.click('#send');
  const heaps = [];
  for (let quarter = 1; quarter <= 4; quarter++) {
    await sleep(Math.max(0, began + quarter * tokens / perSecond * 250 - Date.now()));
    await cdp.send('HeapProfiler.collectGarbage');
    const { JSHeapUsedSize, Nodes } = await metrics();
    heaps.push({ heap: JSHeapUsedSize, nodes: Nodes });
  }
  await page.locator('#send').waitFor({ timeout: 60_000 });
  const busy = (await metrics()).TaskDuration - busyBefore;
  const { frames, worst, length } = await page.evaluate(() => {
    cancelAnimationFrame(window.stepping);
    const all = window.frames_seen;
    const gaps = all.slice(1).map((at, i) => at - all[i]).sort((a, b) => a - b);
    return { frames: gaps.length / (all.at(-1) - all[0]) * 1000, worst: gaps[Math.floor(gaps.length * 0.99)], length: document.querySelector('.assistant .text').textContent.length };
  });
  const steps = heaps.map(({ heap }, i) => (i === 0 ? 0 : heap - heaps[i - 1].heap)).slice(1);
  const growth = steps.at(-1) / steps[0];
  process.stdout.write(`${tokens} tokens at ${perSecond}/s: ${length} characters shown; main thread busy ${(busy / (Date.now() - began) * 100000).toFixed(0)} %\n`);
  process.stdout.write(`heap and nodes at each quarter: ${heaps.map(({ heap, nodes }) => `${(heap / 1048576).toFixed(1)} MiB, ${nodes}`).join('; ')}\n`);
  tell('frames per second while it streams', frames, '/s', frames > 50, 'more than 50');
  tell('99 of 100 frames came within', worst, 'ms', worst < 100, 'less than 100');
  tell('heap: growth of the last quarter to that of the second', growth, 'times', growth < 2, 'less than 2: linear');
  await context.close();
}

const { values } = parseArgs({ options: { tokens: { type: 'string', default: '20000' }, 'per-second': { type: 'string', default: '200' } } });
process.env.CHROMIUM ??= '/usr/bin/chromium';
const api = await startApi();
const browser = await launch();
try {
  await measureLoad(browser, api);
  await measureStream(browser, api, Number(values.tokens), Number(values['per-second']));
} finally {
  await browser.close();
  await api.stop();
}
process.exitCode = failed ? 1 : 0;
