// A chat, as a person has it.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import {
  answer, ask, begin, draft, eventually, gate, hang, launch, notes, problem, say, screenshot, script, status, texts, useTools, whenFocused,
  whenReady, withPage,
} from './support.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const inPage = (body, options) => () => withPage(browser, body, options);
const refused = [/Failed to load resource.*status of \d+/];

test('chat: each token is shown while the next is not yet said', inPage(async (page) => {
  const mock = await script(answer(say('one'), gate('a'), say(' two'), gate('b'), say(' three')));
  await ask(page, mock.prompt);
  await eventually(() => texts(page, 'assistant'), ['one']);
  assert.equal(await page.locator('.writing').count(), 1);
  await mock.open('a');
  await eventually(() => texts(page, 'assistant'), ['one two']);
  assert.equal((await mock.log())[0].finished, null, 'the model had already ended');
  await mock.open('b');
  await whenReady(page);
  assert.deepEqual(await texts(page, 'assistant'), ['one two three']);
  assert.equal(await page.locator('.writing').count(), 0);
  assert.deepEqual(await notes(page), []);
}));

test('chat: many tokens come in order', inPage(async (page) => {
  const words = Array.from({ length: 300 }, (_, i) => `${i} `);
  const mock = await script(answer(...words.map(say)));
  await ask(page, mock.prompt);
  await eventually(() => texts(page, 'assistant'), [words.join('').trim()]);
}));

test('chat: a question goes with what was said before', inPage(async (page) => {
  const mock = await script(answer(say('First.')), answer(say('Second.')));
  await ask(page, mock.prompt);
  await whenReady(page);
  await ask(page, mock.prompt);
  await eventually(() => texts(page, 'assistant'), ['First.', 'Second.']);
  const user = { role: 'user', content: mock.prompt };
  assert.deepEqual((await mock.messages())[1], [user, { role: 'assistant', content: 'First.' }, user]);
}));

test('chat: a new chat forgets what was said', inPage(async (page) => {
  const mock = await script(answer(say('Said.')));
  await ask(page, mock.prompt);
  await whenReady(page);
  await page.click('#new-chat');
  assert.equal(await page.locator('.message').count(), 0);
  await ask(page, mock.prompt);
  await eventually(() => texts(page, 'assistant'), ['Said.']);
  assert.deepEqual((await mock.messages())[1], [{ role: 'user', content: mock.prompt }]);
}));

test('chat: Stop keeps what came, and the model sees it', inPage(async (page) => {
  const mock = await script(begin(say('Once upon'), hang), answer(say('Again.')));
  await ask(page, mock.prompt);
  await eventually(() => texts(page, 'assistant'), ['Once upon']);
  assert.equal((await mock.log())[0].gone, null, 'the request ended before Stop');
  await page.click('#stop');
  assert.ok((await mock.wait('gone')).gone, 'the model was not told');
  await eventually(() => notes(page), ['Stopped here.']);
  assert.deepEqual(await texts(page, 'assistant'), ['Once upon']);
  await ask(page, mock.prompt);
  await eventually(() => texts(page, 'assistant'), ['Once upon', 'Again.']);
}));

test('chat: Stop before an answer gives the question back', inPage(async (page) => {
  const mock = await script(begin(hang));
  await ask(page, mock.prompt);
  await mock.wait('received');
  await page.click('#stop');
  await mock.wait('gone');
  await eventually(() => draft(page), mock.prompt);
  assert.equal(await page.locator('.message').count(), 0);
  assert.match((await problem(page))[0], /Stopped before an answer came/);
}));

test('chat: an error before the answer is shown and the question kept', inPage(async (page) => {
  const mock = await script(status(400, 'temperature: must be at most 2'), answer(say('Now it works.')));
  const response = page.waitForResponse('**/api/chat');
  await ask(page, mock.prompt);
  const { error } = await (await response).json();
  assert.match(error.message, /temperature: must be at most 2/);
  await eventually(() => problem(page), [error.message]);
  assert.equal(await draft(page), mock.prompt);
  assert.equal(await page.locator('.message').count(), 0);
  await page.click('#send');
  await eventually(() => texts(page, 'assistant'), ['Now it works.']);
  assert.deepEqual(await problem(page), []);
}, { faults: refused }));

test('chat: who must wait is told how long, and cannot send before', inPage(async (page) => {
  const mock = await script(status(429, 'slow down', [['Retry-After', '900']]));
  await ask(page, mock.prompt);
  await eventually(() => page.isDisabled('#send'), true);
  assert.match(await page.textContent('#countdown'), /You can send again in \d+ s\./);
  await page.press('#draft', 'Enter');
  assert.equal((await mock.log()).length, 1);
  assert.equal(await draft(page), mock.prompt);
}, { faults: refused }));

test('chat: HTML is shown as text', inPage(async (page) => {
  const html = '<img src="/nothing.png" onerror="ran = 1"><script>ran = 1</script><b>bold</b> & <i>';
  const requests = [];
  page.on('request', (request) => requests.push(new URL(request.url()).pathname));
  const mock = await script(answer(say(html)));
  const question = `<u>under</u><img src="/none.png"> ${mock.prompt}`;
  await ask(page, question);
  await eventually(() => texts(page, 'assistant'), [html]);
  await whenReady(page);
  assert.deepEqual(await texts(page, 'user'), [question]);
  assert.equal(await page.locator('.text :not(p)').count(), 0);
  assert.equal(await page.evaluate('typeof ran'), 'undefined');
  const own = /^\/(?:assets\/.*|icon\.svg|manifest\.webmanifest|sw\.js)$/;           // the page may still be loading some of it
  assert.deepEqual(requests.filter((path) => !own.test(path)), ['/api/chat']);
}));

test('chat: a script that is not of the site does not run', inPage(async (page) => {
  await page.evaluate(() => {
    const injected = document.createElement('script');
    injected.textContent = 'window.ran = true';
    document.body.append(injected);
  });
  assert.equal(await page.evaluate('window.ran'), undefined);
}, { faults: [/Content Security Policy/] }));

test('chat: Enter sends, Shift+Enter begins a new line', inPage(async (page) => {
  const mock = await script(answer(say('Heard.')));
  const height = () => page.locator('#draft').evaluate((box) => box.clientHeight);
  const before = await height();
  await whenFocused(page);
  await page.keyboard.type('first line');         // the box has the focus from the start
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type(mock.prompt);
  assert.equal(await page.locator('.message').count(), 0);
  assert.ok(await height() > before, 'the box did not grow');
  await page.keyboard.press('Enter');
  await eventually(() => texts(page, 'assistant'), ['Heard.']);
  assert.deepEqual(await texts(page, 'user'), [`first line\n${mock.prompt}`]);
  assert.equal(await draft(page), '');
  assert.equal(await height(), before);
}));

test('chat: the keyboard reaches Stop', inPage(async (page) => {
  const mock = await script(begin(say('Never ending'), hang));
  await page.fill('#draft', mock.prompt);
  for (const focused = () => page.evaluate('document.activeElement.id'); await focused() !== 'send';) {
    await page.keyboard.press('Tab');
  }
  await page.keyboard.press('Enter');
  await eventually(() => texts(page, 'assistant'), ['Never ending']);
  await page.keyboard.press('Enter');             // the focus moved from Send to Stop
  await mock.wait('gone');
  await eventually(() => notes(page), ['Stopped here.']);
}));

test('chat: what is typed outlives a reload', inPage(async (page) => {
  await whenFocused(page);
  await page.keyboard.type('half a thought');
  await page.reload();
  await eventually(() => draft(page), 'half a thought');
}));

test('chat: what the tools found is drawn, the forecast and the past rates too', inPage(async (page) => {
  const mock = await script(useTools(['weather', { location: 'Kigali', days: 5 }], ['currency', { amount: 100, from: 'USD', to: 'RWF' }]), answer(say('It rains.')));
  await ask(page, mock.prompt);
  await eventually(() => texts(page, 'assistant'), ['It rains.']);
  await page.locator('.card-weather .plot canvas').waitFor();
  await page.locator('.card-currency .plot canvas').waitFor();
  assert.match(await page.locator('.card-weather').innerText(), /Kigali/);
  assert.match((await page.locator('.card-currency').innerText()).replaceAll(/\s/g, ' '), /145,025 RWF.*Since .*%/);
  assert.equal(await page.locator('.days li').count(), 5);
  await screenshot(page, 'chat-real-tools');
}, { locale: 'en-GB', viewport: { width: 1100, height: 1300 } }));

test('chat: a model that is no demo is not called one', inPage(async (page) => {
  const mock = await script(answer(say('Real.')));
  await ask(page, mock.prompt);
  await eventually(() => texts(page, 'assistant'), ['Real.']);
  assert.equal(await page.isVisible('#demo'), false);
}));
