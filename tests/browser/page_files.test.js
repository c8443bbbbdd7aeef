// Files that go with a message.
import assert from 'node:assert/strict';
import test from 'node:test';
import { api, ask, eventually, inPage, look, named, refused, t, texts, told, whenReady } from './pages.js';

const signedIn = { as: { email: 'ada@example.org' } };
const TEXT = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('some notes') };
const PICTURE = {
  name: 'dot.png', mimeType: 'image/png',
  buffer: Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mMQ6YnCihiGlgQAWrA+gVUnq+QAAAAASUVORK5CYII=', 'base64'),
};
const FILE = { id: '5b0c5d2e-6a3f-4f0e-9f0f-0a1b2c3d4e5f', name: 'notes.txt', type: 'text/plain', size: 10 };
const choose = (page, ...files) => page.setInputFiles('input[type=file]', files);
const shown = (page) => page.locator('.attachment .file-name').allInnerTexts();
const ready = (page) => page.locator('.attachment.ready').count();

/* As if files were dragged from the desktop, or pasted. */
const give = (page, kind, target) => page.evaluate(([event, where]) => {
  const data = new DataTransfer();
  data.items.add(new File(['pasted or dropped'], 'given.txt', { type: 'text/plain' }));
  const options = { bubbles: true, cancelable: true };
  document.querySelector(where).dispatchEvent(event === 'paste'
    ? new ClipboardEvent('paste', { ...options, clipboardData: data })
    : new DragEvent(event, { ...options, dataTransfer: data }));
}, [kind, target]);

test('files: chosen, seen, taken away, sent', inPage(async (page, _, user) => {
  await choose(page, TEXT, PICTURE);
  await eventually(() => ready(page), 2);
  assert.deepEqual(await shown(page), ['notes.txt', 'dot.png']);
  await page.locator('canvas.preview:not([hidden])').waitFor();
  await look(page, 'chosen');
  await named(page, 'button', t('attach.remove', { name: 'notes.txt' })).click();
  await eventually(() => [...user.uploads.values()].map(({ name }) => name), ['dot.png']);
  await ask(page, 'What is this?');
  await whenReady(page);
  const [file] = user.uploads.keys();
  assert.deepEqual(api.chats()[0].attachments, [file]);
  assert.equal(await page.locator('.user .file-chip').getAttribute('href'), `/api/upload/${file}`);
  assert.equal(await page.locator('.attachment').count(), 0);
}, signedIn));

test('files: progress is shown, and nothing is sent before', inPage(async (page) => {
  api.slow('/api/upload', 'arrived');
  await choose(page, TEXT);
  await page.locator('.attachment progress').waitFor();
  await look(page, 'sending');
  await page.fill('#draft', 'Wait for it');
  assert.ok(await page.isDisabled('#send'));
  api.open('arrived');
  await eventually(() => page.isDisabled('#send'), false);
}, signedIn));

test('files: pasted, and dropped', inPage(async (page) => {
  await give(page, 'paste', '#draft');
  await eventually(() => ready(page), 1);
  await give(page, 'dragover', '#conversation');
  await page.locator('.drop-here', { hasText: t('attach.drop') }).waitFor();
  await look(page, 'dropping');
  await give(page, 'drop', '#conversation');
  await eventually(() => ready(page), 2);
  assert.equal(await page.locator('.drop-here').count(), 0);
}, signedIn));

test('files: one that is refused says why', inPage(async (page) => {
  api.fail('/api/upload', { status: 415, type: 'unsupported_media_type', message: 'no' });
  await choose(page, TEXT);
  await eventually(() => page.locator('.attachment.failed .file-size').allInnerTexts(), [told('unsupported_media_type', 'no')]);
  await choose(page, PICTURE);
  await eventually(() => ready(page), 1);
  await page.locator('canvas.preview:not([hidden])').waitFor();
}, { ...signedIn, faults: refused }));

test('files: one that is too large is refused here, by what this server takes', inPage(async (page, _, user) => {
  await choose(page, TEXT, { ...TEXT, name: 'long.txt', buffer: Buffer.alloc(1025) });
  await eventually(() => page.locator('.attachment.failed .file-size').allInnerTexts(), [t('attach.tooLarge', { size: '1 KB' })]);
  await eventually(() => ready(page), 1);
  assert.equal(user.uploads.size, 1);
}, { as: { ...signedIn.as, upload_max_bytes: 1024 } }));

test('files: one that did not arrive can be sent again; one whose session is over goes by itself', inPage(async (page) => {
  api.fail('/api/upload', { status: 503, type: 'service_unavailable', message: 'Not now.' });
  await choose(page, TEXT);
  await page.locator('.attachment.failed').waitFor();
  await look(page, 'failed');
  api.expireSessions();
  await named(page, 'button', t('attach.again', { name: 'notes.txt' })).click();
  await eventually(() => ready(page), 1);
}, { ...signedIn, faults: refused }));

test('files: given back with the question when it was sent in vain', inPage(async (page) => {
  await choose(page, TEXT);
  await eventually(() => ready(page), 1);
  api.fail('/api/chat', { status: 503, type: 'service_unavailable', message: 'Not now.' });
  await ask(page, 'Look');
  await page.locator('#problem').waitFor();
  await look(page, 'back');
  assert.deepEqual([await shown(page), await page.inputValue('#draft')], [['notes.txt'], 'Look']);
  await page.reload();
  await eventually(() => shown(page), ['notes.txt']);
  await page.click('#send');
  await eventually(() => texts(page, 'assistant'), ['This is an answer.']);
  assert.equal(api.chats()[1].attachments.length, 1);
}, { ...signedIn, faults: refused }));

test('files: guests are told that they cannot', inPage(async (page) => {
  await named(page, 'button', t('attach')).click();
  await page.locator('.notice', { hasText: t('attach.signIn') }).getByRole('button', { name: t('signIn') }).click();
  await page.locator('.sign').waitFor();
}));

test('files: one that is on its way arrives though another conversation is looked at meanwhile', inPage(async (page, _, user) => {
  const [{ id }] = user.conversations.values();
  const goTo = (hash) => page.evaluate((to) => { location.hash = to; }, hash);
  api.slow('/api/upload', 'arrived');
  await choose(page, TEXT);
  await page.locator('.attachment progress').waitFor();
  await page.fill('#draft', 'With a file');
  await goTo(`#/c/${id}`);
  await eventually(() => texts(page, 'assistant'), ['Here.']);
  assert.deepEqual(await shown(page), []);
  await goTo('#/');
  await eventually(() => shown(page), ['notes.txt']);
  await goTo(`#/c/${id}`);
  await eventually(() => texts(page, 'assistant'), ['Here.']);
  api.open('arrived');
  const kept = () => page.evaluate(() => JSON.parse(localStorage.getItem('bakame-draft-new')).files.length);
  await eventually(kept, 1);
  await goTo('#/');
  await eventually(() => ready(page), 1);
  await page.click('#send');
  await whenReady(page);
  assert.deepEqual(api.chats()[0].attachments, [...user.uploads.keys()]);
}, { ...signedIn, setUp: (user) => api.addConversation(user, 'Another', [['user', 'Where?'], ['assistant', 'Here.']]) }));

test('files: one that did not arrive stays when the message goes without it', inPage(async (page) => {
  api.fail('/api/upload', { status: 503, type: 'service_unavailable', message: 'Not now.' });
  await choose(page, TEXT);
  await page.locator('.attachment.failed').waitFor();
  await ask(page, 'In a hurry');
  await eventually(() => texts(page, 'assistant'), ['This is an answer.']);
  await named(page, 'button', t('attach.again', { name: 'notes.txt' })).click();
  await eventually(() => ready(page), 1);
}, { ...signedIn, faults: refused }));

test('files: of a question that was changed in vain they come along, and stay with its first version', inPage(async (page, _, user) => {
  await page.evaluate((id) => { location.hash = `#/c/${id}`; }, [...user.conversations.keys()][0]);
  await eventually(() => texts(page, 'assistant'), ['I see.']);
  const change = async (words) => {
    await named(page, 'button', t('question.edit')).click();
    await page.fill('textarea.edit', words);
    api.fail('/api/chat', { status: 503, type: 'service_unavailable', message: 'Not now.' });
    await page.locator('.editor button[type=submit]').click();
    await page.locator('#problem').waitFor();
    await eventually(() => shown(page), ['notes.txt']);
  };
  await change('Look again');
  assert.equal(await ready(page), 1);
  await look(page, 'back');
  await named(page, 'button', t('attach.remove', { name: 'notes.txt' })).click();
  await eventually(() => shown(page), []);
  await page.fill('#draft', '');
  await change('And again');
  await page.click('#send');
  await eventually(() => texts(page, 'assistant'), ['I see.', 'This is an answer.']);
  assert.deepEqual(api.chats().at(-1).attachments, [FILE.id]);
  assert.deepEqual(api.asked('/api/upload/', 'DELETE'), []);
}, {
  ...signedIn, faults: refused,
  setUp: (user) => {
    user.uploads.set(FILE.id, FILE);
    api.addConversation(user, 'With a file', [['user', 'Look', { attachments: [FILE.id] }], ['assistant', 'I see.']]);
  },
}));

test('files: a picture of a text that comes with the text is not taken for it', inPage(async (page) => {
  const isLeft = await page.evaluate(() => {
    const data = new DataTransfer();
    data.setData('text/plain', '1\t2');
    data.items.add(new File(['drawn'], 'image.png', { type: 'image/png' }));
    return document.getElementById('draft').dispatchEvent(new ClipboardEvent('paste', { bubbles: true, cancelable: true, clipboardData: data }));
  });
  assert.deepEqual([isLeft, await shown(page)], [true, []]);    // the browser pastes the text
}, { ...signedIn, once: true }));
