// The conversations of who is signed in.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  CUT, api, ask, cutOff, draft, eventually, inPage, isPhone, look, named, notes, openMenu, refused, saved, t, texts, told, whenReady,
} from './pages.js';

const ADA = { email: 'ada@example.org', name: 'Ada' };
const CONVERSATIONS = ['Weather in Kigali', 'A letter', 'The budget'];
const setUp = (user) => CONVERSATIONS.forEach((title) => api.addConversation(user, title, [['user', `About ${title}`], ['assistant', `**${title}** it is.`]]));
const signedIn = { as: ADA, setUp };

const openOne = async (page, title) => {
  await openMenu(page);
  await page.locator('.conversation-item a', { hasText: title }).click();
};
const titles = (page) => page.locator('.item-title').allTextContents();
async function choose(page, title, item) {
  await openMenu(page);
  await named(page, 'button', t('conversation.menu', { title })).click();
  await named(page, 'menuitem', t(item)).click();
}

test('list: opened, searched, and gone on with', inPage(async (page, _, user) => {
  await eventually(() => titles(page), CONVERSATIONS);
  await openOne(page, 'A letter');
  await eventually(() => texts(page, 'assistant'), ['A letter it is.']);
  await eventually(() => page.title(), 'A letter · Bakame');
  api.answer('More of it.');
  await ask(page, 'Go on');
  await eventually(() => texts(page, 'assistant'), ['A letter it is.', 'More of it.']);
  const conversation = [...user.conversations.values()][1];
  const [chat] = api.chats();
  assert.deepEqual([chat.conversation_id, chat.messages, chat.parent_id], [conversation.id, [{ role: 'user', content: 'Go on' }], conversation.messages[1].id]);
  await eventually(() => titles(page), ['A letter', 'Weather in Kigali', 'The budget']);
  await openMenu(page);
  await page.fill('#search', 'about the budget');
  await eventually(() => titles(page), ['The budget']);
  await page.fill('#search', 'no such thing');
  await page.locator('.nothing', { hasText: t('conversations.notFound') }).waitFor();
}, signedIn));

test('list: renamed and pinned', inPage(async (page, _, user) => {
  await choose(page, 'A letter', 'conversation.rename');
  await look(page, 'renaming');
  await page.locator('dialog input').fill('To the landlord');
  await page.keyboard.press('Enter');
  await eventually(() => titles(page), ['Weather in Kigali', 'To the landlord', 'The budget']);
  await eventually(() => [...user.conversations.values()][1].title, 'To the landlord');
  await choose(page, 'The budget', 'conversation.pin');
  await eventually(() => titles(page), ['The budget', 'Weather in Kigali', 'To the landlord']);
  await eventually(() => [...user.conversations.values()].map(({ title, pinned }) => [title, pinned]), [['Weather in Kigali', false], ['To the landlord', false], ['The budget', true]]);
}, signedIn));

test('list: deleted, after there was a way back', inPage(async (page, _, user) => {
  await choose(page, 'A letter', 'conversation.delete');
  await eventually(() => titles(page), ['Weather in Kigali', 'The budget']);
  await look(page, 'deleted');
  await named(page, 'button', t('undo')).click();
  await eventually(() => titles(page), CONVERSATIONS);
  assert.deepEqual(api.asked('/api/conversations/', 'DELETE'), []);
  await choose(page, 'A letter', 'conversation.delete');
  await page.locator('.notice').getByRole('button', { name: t('close') }).click();
  await eventually(() => user.conversations.size, 2);
}, signedIn));

test('list: deleted for good when the page is left', inPage(async (page, _, user) => {
  await choose(page, 'A letter', 'conversation.delete');
  await page.goto(`${api.url}/icon.svg`);
  await page.goto(api.url);             // where the browser let nothing out, it is made good now
  await eventually(() => user.conversations.size, 2);
  await eventually(() => titles(page), ['Weather in Kigali', 'The budget']);
}, { ...signedIn, tolerated: refused }));

test('list: a conversation as a file, without opening it', inPage(async (page) => {
  const file = await saved(page, () => choose(page, 'The budget', 'export.markdown'));
  assert.equal(file.name, 'The-budget.md');
  assert.match(file.text, /^# The budget\n[^]*About The budget\n[^]*\*\*The budget\*\* it is\.\n$/);
}, signedIn));

test('list: what is typed is kept for each conversation', inPage(async (page) => {
  await page.fill('#draft', 'for a new one');
  await openOne(page, 'A letter');
  await eventually(() => draft(page), '');
  await page.fill('#draft', 'for the letter');
  await openOne(page, 'The budget');
  await eventually(() => draft(page), '');
  await openOne(page, 'A letter');
  await eventually(() => draft(page), 'for the letter');
  await page.reload();
  await eventually(() => draft(page), 'for the letter');
  await page.click('#new-chat');
  await eventually(() => draft(page), 'for a new one');
}, signedIn));

test('list: an answer goes on while another conversation is looked at', inPage(async (page) => {
  await openOne(page, 'A letter');
  await page.locator('.assistant').waitFor();
  api.answer('Begun', { gate: 'on' }, ' and ended.');
  await ask(page, 'Slowly');
  await eventually(async () => (await texts(page, 'assistant')).at(-1), 'Begun');
  await openOne(page, 'The budget');
  await eventually(() => texts(page, 'assistant'), ['The budget it is.']);
  await openOne(page, 'A letter');
  await eventually(async () => (await texts(page, 'assistant')).at(-1), 'Begun');
  api.open('on');
  await eventually(async () => (await texts(page, 'assistant')).at(-1), 'Begun and ended.');
}, signedIn));

test('list: versions are kept by the server, and shown as they were', inPage(async (page, _, user) => {
  await openOne(page, 'A letter');
  await page.locator('.assistant').waitFor();
  api.answer('Another answer.');
  await named(page, 'button', t('answer.again')).click();
  await eventually(() => texts(page, 'assistant'), ['Another answer.']);
  const conversation = [...user.conversations.values()][1];
  await whenReady(page);
  await page.reload();
  await eventually(() => texts(page, 'assistant'), ['Another answer.']);
  await page.locator('.assistant .versions button').first().click();
  await eventually(() => texts(page, 'assistant'), ['A letter it is.']);
  assert.equal(conversation.messages.length, 3);
}, signedIn));

test('list: one that is not there, and a list that cannot be had', inPage(async (page) => {
  await page.locator('.failure', { hasText: t('conversation.gone') }).waitFor();
  api.fail('/api/conversations', { status: 503, type: 'service_unavailable' });
  await openMenu(page);
  await page.fill('#search', 'x');
  await page.locator('.conversations .failure button').waitFor();
  await look(page, 'failed');
  await page.locator('.conversations .failure button').click();
  await page.locator('.nothing').waitFor();
}, { ...signedIn, at: '#/c/00000000-0000-4000-8000-000000000000', faults: refused }));

test('list: the menu of a conversation, and on a phone the list that slides in', inPage(async (page) => {
  const focused = () => page.evaluate(() => document.activeElement.id);
  await openMenu(page);
  await eventually(() => titles(page), CONVERSATIONS);
  await look(page, 'list');
  await named(page, 'button', t('conversation.menu', { title: 'A letter' })).click();
  await named(page, 'menuitem', t('conversation.rename')).waitFor();
  await look(page, 'menu');
  await page.keyboard.press('Escape');
  if (isPhone()) {
    await eventually(() => page.evaluate(() => document.querySelector('#sidebar').contains(document.activeElement)), true);
    await page.keyboard.press('Escape');
    await eventually(focused, 'open-menu');
  }
  await openOne(page, 'The budget');
  await eventually(() => texts(page, 'assistant'), ['The budget it is.']);
  assert.equal(await page.locator('#sidebar').evaluate(({ inert }) => inert), isPhone());
}, { ...signedIn, runs: 4 }));

test('list: what was sent in vain while another conversation is looked at waits where it was typed', inPage(async (page) => {
  await openOne(page, 'A letter');
  await page.locator('.assistant').waitFor();
  api.slow('/api/chat', 'refused');
  api.fail('/api/chat', { status: 503, type: 'service_unavailable', message: 'Not now.' });
  await ask(page, 'Do not lose this');
  await openOne(page, 'The budget');
  await eventually(() => texts(page, 'assistant'), ['The budget it is.']);
  await page.fill('#draft', 'for the budget');
  api.open('refused');
  await page.locator('.notice', { hasText: `A letter: ${told('service_unavailable', 'Not now.')}` }).waitFor();
  await look(page, 'told');
  assert.equal(await draft(page), 'for the budget');
  await openOne(page, 'A letter');
  await eventually(() => draft(page), 'Do not lose this');
  await page.click('#send');
  await eventually(() => texts(page, 'assistant'), ['A letter it is.', 'This is an answer.']);
}, { ...signedIn, faults: refused }));

test('list: nothing is sent into a conversation that could not be opened', inPage(async (page, _, user) => {
  api.fail('/api/conversations/', { status: 503, type: 'service_unavailable', message: 'Not now.' });
  await openOne(page, 'A letter');
  await page.locator('main .failure button').waitFor();
  await page.fill('#draft', 'Go on');
  assert.ok(await page.isDisabled('#send'));
  await page.locator('main .failure button').click();
  await eventually(() => texts(page, 'assistant'), ['A letter it is.']);
  assert.equal(await draft(page), 'Go on');
  await page.click('#send');
  await eventually(() => texts(page, 'assistant'), ['A letter it is.', 'This is an answer.']);
  assert.equal(api.chats()[0].parent_id, [...user.conversations.values()][1].messages[1].id);
}, { ...signedIn, faults: refused }));

test('list: until it is known who asks, the conversation that the address names is waited for', inPage(async (page, _, user) => {
  const [, { id }] = user.conversations.values();
  await page.evaluate((hash) => { location.hash = hash; }, `#/c/${id}`);
  await eventually(() => texts(page, 'assistant'), ['A letter it is.']);
  api.slow('/api/auth/me', 'known');
  await page.reload();
  await page.locator('main .spinner').waitFor();
  await page.fill('#draft', 'for the letter');
  assert.ok(await page.isDisabled('#send'));
  api.open('known');
  await eventually(() => texts(page, 'assistant'), ['A letter it is.']);
  assert.equal(await draft(page), 'for the letter');
}, signedIn));

test('list: what is typed is kept for each conversation where the browser keeps nothing', inPage(async (page) => {
  await openOne(page, 'A letter');
  await page.fill('#draft', 'before');
  await page.evaluate(() => { Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }; });
  await page.fill('#draft', 'for the letter');
  await openOne(page, 'The budget');
  await eventually(() => draft(page), '');
  await openOne(page, 'A letter');
  await eventually(() => draft(page), 'for the letter');
}, { ...signedIn, once: true }));

test('list: an answer that could not be kept does not end the conversation', inPage(async (page) => {
  api.keeps = false;
  await ask(page, 'One');
  await eventually(() => notes(page), [t('note.unsaved')]);
  await whenReady(page);
  api.keeps = true;
  await ask(page, 'Two');
  await eventually(() => texts(page, 'assistant'), ['This is an answer.', 'This is an answer.']);
  const [, chat] = api.chats();
  assert.deepEqual([chat.conversation_id, chat.messages.map(({ content }) => content)], [undefined, ['One', 'This is an answer.', 'Two']]);
  await page.waitForURL(/#\/c\/[\w-]+$/);
}, signedIn));

test('list: nor does one of which only the question was kept', inPage(async (page) => {
  api.answer('It is lost.', { extras: { saved: false } });
  await ask(page, 'One');
  await eventually(() => notes(page), [t('note.unsaved')]);
  await whenReady(page);
  await ask(page, 'Two');
  await eventually(() => texts(page, 'assistant'), ['It is lost.', 'This is an answer.']);
  assert.deepEqual(api.chats()[1].messages.map(({ content }) => content), ['One', 'It is lost.', 'Two']);
}, { ...signedIn, once: true }));

test('list: screen readers are told of the conversation that is shown', inPage(async (page) => {
  const lists = () => api.asked('/api/conversations?').length;
  await openOne(page, 'A letter');
  await page.locator('.assistant').waitFor();
  api.answer({ gate: 'on' }, 'Said elsewhere. And more.');
  await ask(page, 'Slowly');
  await page.locator('.waiting').waitFor();
  await openOne(page, 'The budget');
  await eventually(() => texts(page, 'assistant'), ['The budget it is.']);
  const before = lists();
  api.open('on');
  await eventually(() => lists() > before, true);       // as after each answer
  assert.equal(await page.locator('.conversation-frame > [aria-live=polite]').textContent(), '');
}, { ...signedIn, once: true }));

test('list: what is deleted in one window, and brought back, is not deleted by another that opens', inPage(async (page, context, user) => {
  await choose(page, 'A letter', 'conversation.delete');
  await eventually(() => titles(page), ['Weather in Kigali', 'The budget']);
  const other = await context.newPage();
  await other.clock.install();
  await other.goto(api.url);
  await eventually(() => titles(other), ['Weather in Kigali', 'The budget']);
  await named(page, 'button', t('undo')).click();
  await eventually(() => titles(page), CONVERSATIONS);
  await other.clock.fastForward(600_000);
  await ask(other, 'Later than that');
  await eventually(() => texts(other, 'assistant'), ['This is an answer.']);
  assert.deepEqual(api.asked('/api/conversations/', 'DELETE'), []);
  assert.equal(user.conversations.size, 4);
}, { ...signedIn, once: true }));

test('list: an answer that the server still writes, for it has not seen that the connection is gone, is gone on from', inPage(async (page, _, user) => {
  await openOne(page, 'A letter');
  await page.locator('.assistant').waitFor();
  api.answer('Half an', { gate: 'cut' }, CUT);
  await ask(page, 'Tell me');
  await eventually(() => texts(page, 'assistant'), ['A letter it is.', 'Half an']);
  api.open('cut');
  await named(page, 'button', t('continue')).waitFor();
  api.fail('/api/chat', { status: 404, type: 'not_found', message: 'There is no such message in the conversation (parent_id).' });
  await named(page, 'button', t('continue')).click();
  await eventually(() => texts(page, 'assistant'), ['A letter it is.', 'Half an', 'This is an answer.']);
  const { id, messages } = [...user.conversations.values()][1];
  const chat = api.chats().at(-1);
  assert.deepEqual([chat.conversation_id, chat.parent_id, chat.messages],
    [id, messages[2].id, [{ role: 'assistant', content: 'Half an' }, { role: 'user', content: t('continue.prompt') }]]);
}, { ...signedIn, faults: [...cutOff, ...refused] }));

test('list: what was sent in vain from a new chat waits in the next one', inPage(async (page) => {
  api.slow('/api/chat', 'refused');
  api.fail('/api/chat', { status: 503, type: 'service_unavailable', message: 'Not now.' });
  await ask(page, 'Do not lose this');
  await openOne(page, 'The budget');
  await eventually(() => texts(page, 'assistant'), ['The budget it is.']);
  await page.click('#new-chat');
  await page.locator('#welcome').waitFor();
  await page.fill('#draft', 'More');
  api.open('refused');
  await eventually(() => draft(page), 'Do not lose this\nMore');
  await page.locator('.notice', { hasText: `${t('newChat')}: Not now.` }).waitFor();
}, { ...signedIn, faults: refused, once: true }));
