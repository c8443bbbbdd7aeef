// With accounts, before the real workers, PostgreSQL and all: what the mock of the API promises is so.
//
// Environment besides support.js: ADMIN, ADMIN_PASSWORD   an administrator
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { answer, ask, eventually, launch, pageURL, phone, say, screenshot, script, texts, whenReady, withPage } from './support.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const inPage = (body, options) => () => withPage(browser, body, { locale: 'en-GB', ...options });
const refused = [/Failed to load resource.*status of \d+/];
const titles = (page) => page.locator('.item-title').allInnerTexts();
const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
let people = 0;

async function signUp(page, labels = { name: 'Name', email: 'E-mail', password: 'Password' }) {
  const email = `somebody-${process.pid}-${++people}@example.org`;
  await page.goto(`${pageURL}/#/sign-up`);
  await page.getByLabel(labels.name, { exact: true }).fill('Ada');
  await page.getByLabel(labels.email, { exact: true }).fill(email);
  await page.getByLabel(labels.password, { exact: true }).fill('a good long password');
  await page.keyboard.press('Enter');
  await page.locator('#draft').waitFor();
  return email;
}

test('whole: a conversation is kept, versions and all, found again, renamed and deleted', inPage(async (page) => {
  await signUp(page);
  const mock = await script(answer(say('First **answer**.')), answer(say('Second.')), answer(say('Third.')), answer(say('Fourth.')));
  await ask(page, `About rabbits ${mock.prompt}`);
  await eventually(() => texts(page, 'assistant'), ['First answer.']);
  await whenReady(page);
  await page.waitForURL(/#\/c\/[0-9a-f-]{36}$/);
  await eventually(async () => /^About rabbits/.test((await titles(page))[0]), true);
  await press(page, 'Ask again');
  await eventually(() => texts(page, 'assistant'), ['Second.']);
  await whenReady(page);
  await press(page, 'Edit the message');
  await page.fill('textarea.edit', `About hares ${mock.prompt}`);
  await page.locator('.editor button[type=submit]').click();
  await eventually(() => texts(page, 'assistant'), ['Third.']);
  await whenReady(page);
  await ask(page, 'And then?');
  await eventually(() => texts(page, 'assistant'), ['Third.', 'Fourth.']);
  await whenReady(page);
  const asked = (await mock.messages()).map((messages) => messages.filter(({ role }) => role !== 'system').map(({ role }) => role).join());
  assert.deepEqual(asked, ['user', 'user', 'user', 'user,assistant,user']);
  await page.reload();
  await eventually(() => texts(page, 'assistant'), ['Third.', 'Fourth.']);
  await page.locator('.user .versions button').first().click();
  await eventually(() => texts(page, 'assistant'), ['Second.']);
  await page.locator('.assistant .versions button').first().click();
  await eventually(() => texts(page, 'assistant'), ['First answer.']);
  await page.fill('#search', 'hares');
  await eventually(async () => (await titles(page)).length, 1);
  await page.fill('#search', 'elephants');
  await eventually(() => titles(page), []);
  await page.fill('#search', '');
  await eventually(async () => (await titles(page)).length, 1);
  await page.locator('.conversation-item button').click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await page.locator('dialog input').fill('Long ears');
  await page.keyboard.press('Enter');
  await eventually(() => titles(page), ['Long ears']);
  await press(page, 'What to do with “Long ears”');
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.locator('.notice').getByRole('button', { name: 'Close' }).click();
  await eventually(() => titles(page), []);
  await eventually(() => page.evaluate(() => localStorage.getItem('bakame-leaving')), null);    // the server has heard of it
  await page.reload();
  await page.locator('.nothing').waitFor();
}));

test('whole: a file goes with a message, and the model reads it', inPage(async (page) => {
  await signUp(page);
  const mock = await script(answer(say('I read it.')));
  await page.setInputFiles('input[type=file]', { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('carrots and clover') });
  await page.locator('.attachment.ready').waitFor();
  await ask(page, mock.prompt);
  await eventually(() => texts(page, 'assistant'), ['I read it.']);
  assert.match(JSON.stringify((await mock.messages())[0]), /carrots and clover/);
  await page.reload();
  await eventually(() => page.locator('.user .file-name').allInnerTexts(), ['notes.txt']);
}));

test('whole: out, in again, a key, and everything erased; on a phone in French', inPage(async (page) => {
  const email = await signUp(page, { name: 'Nom', email: 'E-mail', password: 'Mot de passe' });
  await page.goto(`${pageURL}/#/account`);
  await page.getByLabel('À quoi sert-elle ?').fill('ordinateur');
  await page.getByRole('button', { name: 'Créer une clé' }).click();
  assert.match(await page.locator('.secret code').innerText(), /^bk_/);
  await screenshot(page, 'whole-phone-key');
  await page.getByRole('button', { name: 'Terminé' }).click();
  await page.locator('.key', { hasText: 'ordinateur' }).waitFor();
  await page.click('#open-menu');
  await page.getByRole('button', { name: 'Se déconnecter' }).click();
  await page.locator('.guest-notice').waitFor();
  await page.goto(`${pageURL}/#/sign-in`);
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Mot de passe', { exact: true }).fill('not the password');
  await page.keyboard.press('Enter');
  await eventually(() => page.locator('.fault').allInnerTexts(), ['E-mail ou mot de passe incorrect.']);
  await page.getByLabel('Mot de passe', { exact: true }).fill('a good long password');
  await page.keyboard.press('Enter');
  await page.locator('#draft').waitFor();
  await page.goto(`${pageURL}/#/account`);
  await page.getByRole('button', { name: 'Effacer mon compte' }).click();
  await page.locator('dialog input').fill(email);
  await page.getByRole('button', { name: 'Tout effacer' }).click();
  await page.locator('.notice', { hasText: 'sont effacés' }).waitFor();
}, { locale: 'fr-FR', viewport: phone, faults: refused }));

test('whole: an administrator sees people, usage, services, and what was changed', inPage(async (page) => {
  const email = await signUp(page);
  await ask(page, (await script(answer(say('Counted.')))).prompt);
  await eventually(() => texts(page, 'assistant'), ['Counted.']);
  await whenReady(page);
  await press(page, 'Sign out');
  await page.goto(`${pageURL}/#/sign-in`);        // before the server has answered, it may be
  await page.getByLabel('E-mail').fill(process.env.ADMIN);
  await page.getByLabel('Password', { exact: true }).fill(process.env.ADMIN_PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'Administration' }).click();
  await page.getByLabel('Search by name or e-mail').fill(email);
  await eventually(() => page.locator('.rows tbody tr').count(), 1);
  await press(page, `usual, Limit of ${email}`);
  await page.locator('dialog input').first().fill('200');
  await press(page, 'Save');
  await page.getByText('200/60').waitFor();
  await press(page, `Disable (${email})`);
  await page.getByRole('button', { name: `Enable (${email})` }).waitFor();
  await page.getByRole('link', { name: 'Usage' }).click();
  await page.locator('.plot canvas').waitFor();
  await page.getByRole('link', { name: 'Services' }).click();
  await page.locator('.rows tbody tr', { hasText: 'openai' }).locator('.state.good').waitFor();
  await page.getByRole('link', { name: 'Audit log' }).click();
  await eventually(async () => await page.locator('.rows .address').count() >= 2, true);
  await screenshot(page, 'whole-audit');
}, { tolerated: refused }));
