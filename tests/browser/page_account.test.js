// Who the person is: sign up, sign in, the account's page, and a session that ends.
import assert from 'node:assert/strict';
import test from 'node:test';
import { HANG, api, ask, draft, eventually, inPage, look, named, openMenu, problem, refused, saved, t, texts, told, whenReady } from './pages.js';

const ADA = { email: 'ada@example.org', password: 'a good long password', name: 'Ada' };
const fill = (page, key, text) => page.getByLabel(t(key), { exact: true }).fill(text);
const signOut = async (page) => {
  await openMenu(page);
  await named(page, 'button', t('signOut')).click();
};
const isIn = async (page, name) => {
  await openMenu(page);
  await page.locator('.sidebar-foot', { hasText: name }).waitFor();
};

test('sign up: an account is made, and the conversation goes on as a person', inPage(async (page) => {
  await openMenu(page);
  await look(page, 'guest');
  await named(page, 'link', t('signUp')).click();
  await fill(page, 'sign.name', 'Ada');
  await fill(page, 'sign.email', 'ada@example.org');
  await fill(page, 'sign.password', 'a good long password');
  await look(page, 'form');
  await page.keyboard.press('Enter');
  await page.locator('#draft').waitFor();
  await ask(page, 'Hello');
  await whenReady(page);
  await isIn(page, 'Ada');
  await eventually(async () => (await page.locator('.item-title').allTextContents())[0], 'Hello');
  await page.waitForURL(/#\/c\/[\w-]+$/);
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).concat(Object.keys(sessionStorage))), ['bakame-signed-in']);
}));

test('sign in: a wrong password is told, and what was typed stays', inPage(async (page) => {
  await fill(page, 'sign.email', 'ADA@example.org');
  await fill(page, 'sign.password', 'not the password');
  await page.keyboard.press('Enter');
  await eventually(() => page.locator('.fault').allInnerTexts(), [t('sign.wrong')]);
  assert.equal(await page.getByLabel(t('sign.email'), { exact: true }).inputValue(), 'ADA@example.org');
  await look(page, 'wrong');
  await fill(page, 'sign.password', ADA.password);
  await page.locator('.sign button[type=submit]').click();
  await page.locator('#draft').waitFor();
  await signOut(page);
  await page.locator('.guest-notice').waitFor();
  assert.deepEqual(api.asked('/api/auth/logout').length, 1);
}, { at: '#/sign-in', setUp: () => api.addUser(ADA), faults: refused }));

test('sign out: whoever goes on before the server has answered stays there, and is in as the next one', inPage(async (page) => {
  const bob = api.addUser({ email: 'bob@example.org', name: 'Bob' });
  api.slow('/api/auth/logout', 'out');
  await signOut(page);
  await page.evaluate(() => { location.hash = '#/sign-in'; });
  await fill(page, 'sign.email', bob.email);
  await fill(page, 'sign.password', bob.password);
  await page.keyboard.press('Enter');
  await eventually(() => api.asked('/api/auth/logout').length, 1);
  assert.deepEqual(api.asked('/api/auth/login'), [], 'the answer that is to come would end the new session');
  api.open('out');
  await page.locator('#draft').waitFor();
  await isIn(page, 'Bob');
}, { as: ADA }));

test('sign out: nor is anybody drawn back who has just gone on', inPage(async (page) => {
  await openMenu(page);
  await named(page, 'button', t('signOut')).waitFor();
  await page.evaluate(() => {           // the address changes, and the answer is there before the page hears of that
    window.fetch = async () => {
      location.hash = '#/sign-in';
      return new Response('{}');
    };
  });
  await signOut(page);
  await page.getByLabel(t('sign.email'), { exact: true }).waitFor();
  await openMenu(page);
  await page.locator('.pitch').waitFor();
  assert.equal(await page.evaluate(() => location.hash), '#/sign-in');
}, { as: ADA }));

test('sign out: the server cannot be told, and nobody believes to be out', inPage(async (page) => {
  api.fail('/api/auth/logout', { status: 503, type: 'service_unavailable', message: 'Not now.' });
  await signOut(page);
  await page.locator('.notice', { hasText: told('service_unavailable', 'Not now.') }).waitFor();
  await isIn(page, 'Ada');
}, { as: ADA, faults: refused }));

test('sign in: too many attempts, and a server without accounts', inPage(async (page) => {
  await fill(page, 'sign.email', 'a@example.org');
  await fill(page, 'sign.password', 'whatever it is');
  for (const [failure, words] of [
    [{ status: 429, type: 'rate_limit_exceeded', headers: { 'Retry-After': '9' } }, t('sign.tooOften', { count: 9 })],
    [{ status: 404, type: 'not_found' }, t('sign.unavailable')],
  ]) {
    api.fail('/api/auth/login', failure);
    await page.locator('.sign button[type=submit]').click();
    await eventually(() => page.locator('.fault').allInnerTexts(), [words]);
  }
}, { at: '#/sign-in', faults: refused }));

test('account: language and theme change at once, and are kept', inPage(async (page) => {
  await page.getByLabel(t('language'), { exact: true }).selectOption('sw');
  await eventually(() => page.locator('.section h2').first().innerText(), 'Lugha na mandhari');
  await page.getByLabel('Mandhari', { exact: true }).selectOption('dark');
  const isKept = async () => assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, getComputedStyle(document.body).backgroundColor]), ['sw', 'rgb(20, 26, 23)']);
  await isKept();
  await page.reload();
  await eventually(() => page.locator('h1').innerText(), 'Akaunti');
  await isKept();
  await page.locator('select').first().selectOption(await page.evaluate(() => navigator.language.split('-')[0]));
  await eventually(() => page.locator('h1').innerText(), t('account'));
}, { at: '#/account', as: ADA }));

test('account: the password is changed, and a wrong one refused', inPage(async (page, _, user) => {
  await fill(page, 'password.current', 'something else');
  await fill(page, 'password.new', 'another good password');
  await page.keyboard.press('Enter');
  await eventually(() => page.locator('.field-error').allInnerTexts(), [t('password.wrong')]);
  await look(page, 'wrong');
  await fill(page, 'password.current', ADA.password);
  await page.keyboard.press('Enter');
  await page.locator('.notice', { hasText: t('password.changed') }).waitFor();
  assert.equal(user.password, 'another good password');
}, { at: '#/account', as: ADA, faults: refused }));

test('account: an API key is shown once, and revoked', inPage(async (page, _, user) => {
  await fill(page, 'keys.name', 'my laptop');
  await named(page, 'button', t('keys.make')).click();
  const key = await page.locator('.secret code').innerText();
  await look(page, 'new');
  assert.equal(user.keys[0].key, key);
  await named(page, 'button', t('done')).click();
  await page.locator('.key', { hasText: 'my laptop' }).waitFor();
  assert.ok(!(await page.content()).includes(key));
  await named(page, 'button', `${t('keys.revoke')} (my laptop)`).click();
  await look(page, 'sure');
  await named(page, 'button', `${t('keys.sure')} (my laptop)`).click();
  await eventually(() => page.locator('.key').count(), 0);
  assert.deepEqual(user.keys, []);
}, { at: '#/account', as: ADA }));

test('account: everything can be taken along, and erased', inPage(async (page, _, user) => {
  api.addConversation(user, 'Mine', [['user', 'Hello']]);
  const file = await saved(page, () => named(page, 'button', t('account.exportDo')).click());
  assert.equal(JSON.parse(file.text).conversations[0].title, 'Mine');
  await named(page, 'button', t('erase')).click();
  const sure = named(page, 'button', t('erase.do'));
  assert.ok(await sure.isDisabled());
  await look(page, 'sure');
  await page.locator('dialog input').fill('ada@example.org');
  await sure.click();
  await page.locator('.notice', { hasText: t('erase.done') }).waitFor();
  assert.equal(api.users.size, 0);
  await page.locator('.guest-notice').waitFor();
}, { at: '#/account', as: ADA }));

test('session: one that is over is renewed without a word', inPage(async (page) => {
  api.expireSessions();
  await ask(page, 'Still me?');
  await eventually(() => texts(page, 'assistant'), ['This is an answer.']);
  assert.equal(api.asked('/api/auth/refresh').length, 1);
}, { as: ADA, faults: refused }));

test('session: a network that breaks while it is renewed sends nobody to the door', inPage(async (page) => {
  api.expireSessions();
  api.fail('/api/auth/refresh', { status: 503, type: 'service_unavailable', message: 'Not now.' });
  await ask(page, 'Still me?');
  await eventually(() => problem(page), [t('problem.unreachable')]);
  assert.equal(await draft(page), 'Still me?');
  await isIn(page, 'Ada');
  if (await page.locator('#sidebar.open').count() > 0) await page.keyboard.press('Escape');
  await page.click('#send');
  await eventually(() => texts(page, 'assistant'), ['This is an answer.']);
}, { as: ADA, faults: refused }));

test('session: one that cannot be renewed is told, and what was typed is kept', inPage(async (page) => {
  for (const session of api.sessions.values()) Object.assign(session, { expired: true, gone: true });
  await ask(page, 'Who am I?');
  await page.locator('.notice', { hasText: t('session.ended') }).waitFor();
  await eventually(() => draft(page), 'Who am I?');
  assert.equal((await problem(page))[0], told('unauthorized', 'The session has ended: sign in again.'));
  await look(page, 'ended');
  await page.click('#send');
  await eventually(() => texts(page, 'assistant'), ['This is an answer.']);
}, { as: ADA, faults: refused }));

test('sign up: what a guest said becomes a conversation, and is in no new one', inPage(async (page) => {
  await ask(page, 'As a guest');
  await eventually(() => texts(page, 'assistant'), ['This is an answer.']);
  await whenReady(page);
  await page.evaluate(() => { location.hash = '#/sign-up'; });
  await fill(page, 'sign.email', 'ada@example.org');
  await fill(page, 'sign.password', 'a good long password');
  await page.keyboard.press('Enter');
  await page.locator('#draft').waitFor();
  await ask(page, 'As Ada');
  await eventually(() => texts(page, 'user'), ['As a guest', 'As Ada']);
  await whenReady(page);
  await page.waitForURL(/#\/c\/[\w-]+$/);
  await page.evaluate(() => { location.hash = '#/'; });
  await page.locator('#welcome').waitFor();
  await page.reload();
  await page.locator('.item-title').first().waitFor({ state: 'attached' });
  await page.locator('#welcome').waitFor();
  assert.deepEqual(await texts(page, 'user'), []);
}));

test('sign out: other windows show nothing any more either, and what is written for them ends', inPage(async (page, context, user) => {
  const { id } = api.addConversation(user, 'Mine', [['user', 'Hello'], ['assistant', 'Hello, Ada.']]);
  const other = await context.newPage();
  await other.goto(`${api.url}/#/c/${id}`);
  await eventually(() => texts(other, 'assistant'), ['Hello, Ada.']);
  api.answer('Begun', HANG);
  await ask(other, 'A secret');
  await eventually(() => texts(other, 'assistant'), ['Hello, Ada.', 'Begun']);
  await other.fill('#draft', 'another secret');
  await signOut(page);
  await page.locator('.guest-notice').waitFor();
  await other.locator('.guest-notice').waitFor();
  await other.locator('#welcome').waitFor();
  assert.deepEqual([await texts(other, 'user'), await draft(other)], [[], '']);
  await eventually(async () => api.asked('/api/chat')[0].gone, true);
  await other.evaluate((hash) => { location.hash = hash; }, `#/c/${id}`);
  await other.locator('main .failure').waitFor();
}, { as: ADA, tolerated: refused }));

test('session: a page that was opened while the server was away knows who it is when it is back', inPage(async (page) => {
  await isIn(page, 'Ada');              // inPage has waited for that
  assert.equal(api.asked('/api/auth/me').length, 3);
}, { as: ADA, setUp: () => api.fail('/api/auth/me', { status: 503, type: 'service_unavailable', message: 'Not now.', times: 2 }), faults: refused }));

test('account: who presses twice while the server thinks asks once', inPage(async (page, _, user) => {
  await eventually(() => api.asked('/api/auth/keys', 'GET').length, 1);
  await fill(page, 'keys.name', 'my laptop');
  api.slow('/api/auth/keys', 'made');
  await named(page, 'button', t('keys.make')).dblclick();
  await eventually(() => api.asked('/api/auth/keys', 'POST').length > 0, true);
  await fill(page, 'password.current', ADA.password);
  await fill(page, 'password.new', 'another good password');
  api.slow('/api/auth/password', 'changed');
  await named(page, 'button', t('password.change')).dblclick();
  await eventually(() => api.asked('/api/auth/password').length > 0, true);
  api.open('changed');
  await page.locator('.notice', { hasText: t('password.changed') }).waitFor();
  api.open('made');
  await page.locator('.secret').waitFor();
  assert.deepEqual([api.asked('/api/auth/password').length, user.keys.length], [1, 1]);
}, { at: '#/account', as: ADA, once: true }));
