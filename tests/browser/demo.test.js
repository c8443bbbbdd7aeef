// The page before the demo model, and how it looks: its screenshots are kept.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { ask, desktop, eventually, launch, phone, screenshot, texts, whenReady, withPage } from './support.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const QUESTIONS = ['Muraho!', 'Can you show me a small program?'];
const LONG_WORD = 'Donaudampfschifffahrtsgesellschaft'.repeat(6);

async function converse(page, questions = QUESTIONS) {
  for (const question of questions) {
    await ask(page, question);
    await whenReady(page);
  }
  assert.equal((await texts(page, 'assistant')).filter((text) => text.length > 20).length, questions.length);
}

/* The mean of red, green and blue of the page's background or text, up to 255. */
const brightness = (page, property) => page.evaluate((name) => {
  const [red, green, blue] = getComputedStyle(document.body).getPropertyValue(name).match(/\d+/g).map(Number);
  return (red + green + blue) / 3;
}, property);

/* What is wider than the window, or partly outside it. */
const overflowing = (page) => page.evaluate(() => {
  const wide = [...document.querySelectorAll('*')].filter((element) => {
    const box = element.getBoundingClientRect();
    const unseen = element.closest('[inert]') || getComputedStyle(element).clipPath !== 'none';     // shut, or for screen readers only
    return !unseen && (box.left < 0 || box.right > window.innerWidth || element.scrollWidth > window.innerWidth);
  });
  return wide.map((element) => `${element.tagName} ${element.id} ${element.className}`);
});

test('demo: it is named, and how to have a real model', () => withPage(browser, async (page) => {
  assert.equal(await page.isVisible('#demo'), false);
  await converse(page, ['Muraho!']);
  assert.equal(await page.isVisible('#demo'), true);
  assert.match(await page.textContent('#demo summary'), /This is a demo model/);
  await page.click('#demo summary');
  assert.match(await page.innerText('#demo'), /OPENAI_API_KEY=… \.\/quickstart run/);
}));

test('demo: a conversation in two languages', () => withPage(browser, async (page) => {
  await converse(page, ['Hello, Bakame!', 'Is this written while I read it?', 'Muraho!', 'Can you show me a small program?']);
  const [first, second, third] = await texts(page, 'assistant');
  assert.match(first, /^I am Bakame's demo model[^]+Hello!/);
  assert.match(second, /word by word through NGINX/);
  assert.match(third, /^Muraho!/);
  await screenshot(page, 'chat');                 // doc/chat.png is a copy of it
}, { viewport: { width: 1100, height: 860 } }));

test('demo: a phone of 320 px needs no scrolling sideways', () => withPage(browser, async (page) => {
  assert.deepEqual(await overflowing(page), []);
  await converse(page, [`${LONG_WORD}?`, 'Show me a table']);
  await page.click('#demo summary');
  await page.fill('#draft', LONG_WORD);
  assert.deepEqual(await overflowing(page), []);
  const tall = await page.evaluate(() => document.documentElement.scrollHeight - window.innerHeight);
  assert.ok(tall <= 0, `the page is ${tall} px higher than the phone`);
  await screenshot(page, 'phone-long-words');
}, { viewport: phone }));

function looks(device, viewport, colorScheme) {
  return () => withPage(browser, async (page) => {
    await screenshot(page, `${device}-${colorScheme}-welcome`);
    await converse(page);
    const isAtEnd = () => page.locator('#conversation').evaluate((view) => view.scrollHeight - view.scrollTop - view.clientHeight <= 1);
    await eventually(isAtEnd, true);    // else the end of the answer is out of sight
    const [back, ink] = [await brightness(page, 'background-color'), await brightness(page, 'color')];
    assert.ok(colorScheme === 'dark' ? back < 50 && ink > 200 : back > 200 && ink < 50, `ink ${ink} on ${back}`);
    await screenshot(page, `${device}-${colorScheme}`);
  }, { viewport, colorScheme });
}

test('demo: on a phone by day', looks('phone', phone, 'light'));
test('demo: on a phone by night', looks('phone', phone, 'dark'));
test('demo: on a desktop by day', looks('desktop', desktop, 'light'));
test('demo: on a desktop by night', looks('desktop', desktop, 'dark'));
