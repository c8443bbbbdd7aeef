// For everybody: no fault that axe finds, nothing wider than a phone, nothing too small for a finger, all by keyboard.
import assert from 'node:assert/strict';
import test from 'node:test';
import { api, eventually, inPage, isPhone, look, named, t, whenFocused, whenReady } from './pages.js';

const MARKDOWN = '# Title\n\nText with `code`, [a link](https://example.org) and $x^2$.\n\n```js\nconst a = 1;\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- item\n';
const WEATHER = {
  location: 'Kigali', current: { temperature: 19, conditions: 'rain' }, source: 'Open-Meteo',
  days: [1, 2, 3, 4].map((day) => ({ date: `2026-11-0${day}`, temperature_min: 15, temperature_max: 20 + day, precipitation_chance_percent: 50 })),
};
const ADMIN = { email: 'ada@example.org', name: 'Ada', role: 'admin' };

function setUp(user) {
  const tools = [{ id: '1', name: 'weather', arguments: { location: 'Kigali' }, status: 'done', ms: 5, result: WEATHER }, { id: '2', name: 'news', status: 'failed', error: 'x' }];
  const conversation = api.addConversation(user, 'A conversation with a title that is rather long, too long for any phone', [['user', 'Hello'], ['assistant', MARKDOWN, { tools }], ['user', 'Go on'], ['assistant', 'Half', { status: 'interrupted' }]], { pinned: true });
  api.addUser({ email: 'a-person-whose-address-is-long@mail.example.org', name: 'Somebody', disabled: true });
  user.keys.push({ id: '1', name: 'laptop', prefix: 'bk_abcd', created_at: '2026-02-01T00:00:00Z', last_used_at: null });
  api.usage = Array.from({ length: 10 }, (_, i) => ({ at: `2026-11-${10 + i}T00:00:00Z`, requests: i * 5, prompt_tokens: 10, completion_tokens: 5, tool_calls: 1, errors: 0 }));
  api.usage_users = [{ user_id: null, email: null, requests: 9, prompt_tokens: 1, completion_tokens: 2, tool_calls: 0, errors: 0 }];
  api.services = { services: [{ name: 'weather', state: 'open', failures: 3, latency: 80 }, { name: 'redis', state: 'closed' }], cache: { weather: { hits: 9, misses: 1 } }, queue: { waiting: 3, running: 0, delayed: 0, dead: 1, oldest_secs: 2 } };
  api.audit = [{ id: 1, at: '2026-11-24T10:00:00Z', actor: 'ada@example.org', action: 'user.change', target: 'x', details: { disabled: true }, remote_addr: '192.0.2.7' }];
  return conversation;
}

/* Each with a sign that the one before has not; who is signed in is led from the door to a new chat. */
const PAGES = [
  ['', '#welcome'], ['c', '.card-weather .plot canvas'], ['sign-in', '#welcome'], ['account', '.key'], ['admin/users', '.rows select'], ['admin/usage', '.page .plot canvas'],
  ['admin/services', '.rows .state'], ['admin/audit', '.rows .address'],
];

async function lookAround(page, conversation) {
  for (const [name, sign] of PAGES) {
    await page.evaluate((hash) => { location.hash = hash; }, `#/${name}${name === 'c' ? `/${conversation}` : ''}`);
    await page.locator(sign).first().waitFor();
    if (name === 'c') await page.locator('.hljs-keyword').first().waitFor();
    await look(page, name.replace('/', '-') || 'new');
  }
}

let conversation;
const options = { as: ADMIN, setUp: (user) => { conversation = setUp(user); } };

test('access: every page', inPage((page) => lookAround(page, conversation.id), { ...options, runs: 4 }));
test('access: every page, letters twice as large', inPage((page) => lookAround(page, conversation.id),
  { ...options, viewport: { width: 640, height: 400 }, deviceScaleFactor: 2, hasTouch: false }));

test('access: an answer that is written, and the menu of what can be kept', inPage(async (page) => {
  await page.fill('#draft', 'Hello');
  api.answer('Begun', { gate: 'x' });
  await page.click('#send');
  await page.locator('.writing .text p').waitFor();
  await look(page, 'writing');
  api.open('x');
  await whenReady(page);
  await named(page, 'button', t('export')).click();
}));

test('access: a conversation by keyboard alone', inPage(async (page) => {
  const focused = () => page.evaluate(() => { const e = document.activeElement; return e.getAttribute('aria-label') ?? e.innerText ?? e.id; });
  const tabTo = async (name) => {
    for (let i = 0; i < 40 && await focused() !== name; i++) await page.keyboard.press('Tab');
    assert.equal(await focused(), name);
  };
  await whenFocused(page);
  await page.keyboard.type('By keyboard');
  await page.keyboard.press('Enter');
  await whenReady(page);
  if (isPhone()) {
    await tabTo(t('menu'));
    await page.keyboard.press('Enter');
    await eventually(() => page.evaluate(() => document.querySelector('#sidebar').contains(document.activeElement)), true);
  }
  await page.locator('.item-title').first().waitFor();
  const menu = t('conversation.menu', { title: 'By keyboard' });
  await tabTo(menu);
  await page.keyboard.press('Enter');
  await eventually(focused, t('conversation.rename'));
  await page.keyboard.press('ArrowDown');
  await eventually(focused, t('conversation.pin'));
  await page.keyboard.press('Escape');
  await eventually(focused, menu);
  await page.keyboard.press('Enter');
  await eventually(focused, t('conversation.rename'));
  await page.keyboard.press('Enter');
  await whenFocused(page, 'dialog input');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('Renamed');
  await page.keyboard.press('Enter');
  await eventually(() => page.locator('.item-title').first().textContent(), 'Renamed');
  await page.locator('dialog').waitFor({ state: 'detached' });
  if (isPhone()) {
    await page.keyboard.press('Escape');
    await eventually(focused, t('menu'));
  }
  await tabTo(t('question.edit'));
  await page.keyboard.press('Enter');
  await whenFocused(page, 'textarea.edit');
  await page.keyboard.press('Escape');
  await eventually(focused, t('question.edit'));
}, { as: { email: 'ada@example.org' }, hasTouch: false }));

test('access: who wants no motion sees none', inPage(async (page) => {
  api.answer({ gate: 'x' }, 'y');
  await page.fill('#draft', 'Hello');
  await page.click('#send');
  await page.locator('.dots').waitFor();
  assert.deepEqual(await page.evaluate(() => document.getAnimations().length), 0);
  api.open('x');
  await whenReady(page);
}, { once: true }));
