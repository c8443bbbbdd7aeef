// Without a network the pages open, and nothing of what people said is kept by the service worker.
import assert from 'node:assert/strict';
import test from 'node:test';
import { api, ask, draft, eventually, inPage, look, problem, t, texts, whenReady } from './pages.js';

const active = (page) => page.evaluate(async () => (await navigator.serviceWorker.ready).active.state);
const offline = [/ERR_INTERNET_DISCONNECTED/];

test('offline: the page opens, says so, and keeps what is typed', inPage(async (page, context) => {
  await eventually(() => active(page), 'activated');
  await context.setOffline(true);
  await page.reload();
  await page.locator('.offline', { hasText: t('offline') }).waitFor();
  await ask(page, 'For later');
  await eventually(() => draft(page), 'For later');
  assert.equal((await problem(page))[0], t('problem.unreachable'));
  await look(page, 'offline');
  await page.evaluate(() => { location.hash = '#/account'; });
  await page.getByLabel(t('language'), { exact: true }).selectOption('en');
  await eventually(() => page.locator('h1').innerText(), 'Language and theme');
  await page.locator('select').first().selectOption(await page.evaluate(() => navigator.language.split('-')[0]));
  await eventually(() => page.locator('h1').innerText(), t('settings'));
  await page.evaluate(() => { location.hash = '#/'; });
  await context.setOffline(false);
  await page.locator('.offline').waitFor({ state: 'detached' });
  await page.click('#send');
  await eventually(() => texts(page, 'assistant'), ['This is an answer.']);
}, { faults: offline, workers: true }));

test('offline: nothing of the API is kept', inPage(async (page) => {
  await eventually(() => active(page), 'activated');
  await page.reload();
  await page.locator('.item-title').waitFor();
  await ask(page, 'A secret');
  await whenReady(page);
  const kept = await page.evaluate(async () => {
    const names = await caches.keys();
    const all = await Promise.all(names.map(async (name) => (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname)));
    return all.flat();
  });
  assert.ok(kept.includes('/'), kept.join());
  assert.deepEqual(kept.filter((path) => !/^\/(?:$|assets\/|icon\.svg$|manifest\.webmanifest$)/.test(path)), []);
}, { workers: true, once: true, as: { email: 'ada@example.org' }, setUp: (user) => api.addConversation(user, 'Mine', [['user', 'x']]) }));
