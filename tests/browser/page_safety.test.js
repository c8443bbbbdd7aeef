// Whatever somebody writes, nothing of it runs.
import assert from 'node:assert/strict';
import test from 'node:test';
import { payloads } from './payloads.js';
import { api, eventually, inPage, named, refused, t, texts, whenReady } from './pages.js';

const ADA = { email: 'ada@example.org', role: 'admin' };
const PART = 24;                // of the payloads, in one conversation

/* Presses, touches and enters all that is there, then looks whether anything ran. */
async function poke(page) {
  await page.evaluate(async () => {
    const all = [...document.querySelectorAll('.message *, .conversation-item *, #sidebar a, .rows *, .notice *')];
    for (const element of all) {
      for (const kind of ['mouseover', 'pointerenter', 'mousedown', 'focus', 'toggle', 'wheel', 'cut']) {
        element.dispatchEvent(new Event(kind, { bubbles: true }));
      }
    }
    await new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve, 50)); });
  });
  assert.equal(await page.evaluate(() => window.ran), undefined, 'something ran');
  const odd = await page.evaluate(() => [...document.querySelectorAll('*')].flatMap((element) => [...element.attributes]
    .filter(({ name, value }) => /^on/i.test(name) || (/^(?:href|src|action|formaction|xlink:href|srcdoc|data)$/i.test(name) && /^\s*(?:javascript|data|vbscript):/i.test(value)))
    .map(({ name, value }) => `${element.tagName} ${name}=${value}`)));
  assert.deepEqual(odd, []);
  const tags = await page.evaluate(() => [...new Set([...document.querySelectorAll('.message *')].map(({ tagName }) => tagName.toLowerCase()))]
    .filter((tag) => /^(?:script|iframe|object|embed|link|meta|base|style|form|img|video|audio|template|foreignobject|use|animate|set)$/.test(tag)));
  assert.deepEqual(tags, []);
}

test('safety: there are a hundred payloads at least, and one of them would run where it could', inPage(async (page) => {
  assert.ok(new Set(payloads).size >= 100, `${new Set(payloads).size} payloads`);
  await page.evaluate(() => { document.querySelector('main').insertAdjacentHTML('beforeend', '<img src="/nothing.png" onerror="window.ran=1">'); });
  await eventually(() => page.evaluate(() => document.querySelector('main > img')?.complete), true);
  assert.equal(await page.evaluate(() => window.ran), undefined, 'the policy of the front alone would have kept it from running');
}, { once: true, faults: [/Content Security Policy/, ...refused] }));

test('safety: none runs in an answer, a question, a tool, a title or the name of a file', inPage(async (page, _, user) => {
  for (let i = 0; i < payloads.length; i += PART) {
    const part = payloads.slice(i, i + PART);
    const messages = part.flatMap((payload, k) => {
      const file = { id: `${i + k}`, name: payload, type: 'text/plain', size: 1 };
      user.uploads.set(file.id, file);
      const result = { location: payload, articles: [{ title: payload, url: `javascript:${payload}`, source: payload, summary: payload }], current: { temperature: 1, conditions: payload }, source: payload };
      const tools = ['weather', 'news', payload].map((name, n) => ({ id: `${n}`, name, arguments: { [payload]: payload }, status: 'done', result }));
      return [['user', payload, { attachments: [file.id] }], ['assistant', payload, { tools: k % 4 === 0 ? tools : null }]];
    });
    api.addConversation(user, part[0], messages);
    part.slice(1).forEach((payload) => api.addConversation(user, payload, []));
  }
  const first = [...user.conversations.values()].filter(({ messages }) => messages.length > 0);
  for (const { id, messages } of first) {
    await page.evaluate((hash) => { location.hash = hash; }, `#/c/${id}`);
    await eventually(() => page.locator('.message').count(), messages.length);
    await eventually(() => page.locator('.user .text').last().textContent(), messages.at(-2).content);
    await poke(page);
  }
  assert.equal(await page.locator('.user .text').last().textContent(), payloads.at(-1));
}, { as: ADA, once: true }));

test('safety: none runs while an answer grows letter by letter', inPage(async (page) => {
  const all = payloads.join('\n\n');
  api.answer(...all.match(/[^]{1,11}/g));
  await page.fill('#draft', payloads.join('\n'));
  await page.click('#send');
  await whenReady(page);
  await eventually(async () => (await texts(page, 'assistant'))[0].length > 1000, true);
  await poke(page);
}, { once: true }));

test('safety: none runs in the names of people, of keys, or in what was done', inPage(async (page, _, user) => {
  payloads.slice(0, 45).forEach((payload, i) => api.addUser({ email: `p${i}@example.org`, name: payload }));
  api.audit = payloads.slice(45, 90).map((payload, i) => ({ id: i, at: '2026-11-24T10:00:00Z', actor: payload, action: payload, target: payload, details: { [payload]: payload }, remote_addr: payload }));
  user.keys = payloads.slice(90).map((payload, i) => ({ id: `${i}`, name: payload, prefix: payload, created_at: payload }));
  for (const [at, rows] of [['admin/users', '.rows select'], ['admin/audit', '.rows .address'], ['account', '.key']]) {
    await page.evaluate((hash) => { location.hash = hash; }, `#/${at}`);
    await page.locator(rows).first().waitFor();
    await poke(page);
  }
  assert.ok(await named(page, 'button', t('keys.make')).isVisible());
}, { as: ADA, once: true }));
