// looks.js - what each feature is tried at: sizes, languages and themes, and what has to hold in all of them.
//
// A feature's scenario is written once. It is run at a phone and at a desktop, in two languages, by day and by night: in
// two runs that have each of these values, or in four in which each pair of values occurs (an orthogonal array).
// The languages change from feature to feature; over a file of tests all four have their turn.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { desktop, phone } from './support.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TARGET_MIN_PX = 24;
const LONG_WORD = 15;
const LOCALES = { en: 'en-GB', fr: 'fr-FR', rw: 'rw-RW', sw: 'sw-KE' };
const PAIRS = [['rw', 'en'], ['fr', 'sw'], ['sw', 'rw'], ['en', 'fr']];
const SIZES = { phone, desktop };

const words = Object.fromEntries(Object.keys(LOCALES).map((language) =>
  [language, JSON.parse(readFileSync(new URL(`../../web/src/lang/${language}.json`, import.meta.url), 'utf8'))]));

export const lookOf = (size, language, theme) => ({
  size, language, theme, name: `${size}-${language}-${theme}`,
  options: { viewport: SIZES[size], locale: LOCALES[language], colorScheme: theme, hasTouch: size === 'phone' },
});

/* `turn` counts the features of a file. */
export function looksOf(turn, runs) {
  const [one, other] = PAIRS[turn % PAIRS.length];
  const all = [lookOf('phone', one, 'dark'), lookOf('desktop', other, 'light'), lookOf('phone', other, 'light'), lookOf('desktop', one, 'dark')];
  const start = Math.floor(turn / PAIRS.length) % 2 * 2;
  return runs === 4 ? all : all.slice(start, start + runs);
}

let current = lookOf('desktop', 'en', 'light');
export const useLook = (look) => { current = look; };
export const isPhone = () => current.size === 'phone';

/* The words of the page, as lib/i18n.js has them; the languages that browsers know not have one and other. */
export function t(key, values = {}) {
  const message = words[current.language][key];
  if (message === undefined) throw new Error(`no words for ${key}`);
  const rules = new Intl.PluralRules(current.language === 'rw' ? 'en' : current.language);
  const text = typeof message === 'string' ? message : message[rules.select(values.count)] ?? message.other;
  return text.replaceAll(/\{(\w+)\}/g, (whole, name) => (values[name] === undefined ? whole : String(values[name])));
}

/* What is told of a refusal: the server's own words in English, what is known of its type in other languages. */
export const told = (type, message) => (current.language === 'en' ? message : t(`problem.type.${type}`));

/* A number between words, however its thousands are set apart. */
export const digits = (number) => String(number).replaceAll(/\B(?=(?:\d{3})+$)/g, '\\D?');

/* --- what holds in every look ---------------------------------------------------------------- */

/* axe runs in a world of its own, for the page's policy lets nothing in. */
async function axeFaults(page) {
  const cdp = await page.context().newCDPSession(page);
  const { frameTree } = await cdp.send('Page.getFrameTree');
  const { executionContextId } = await cdp.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
  const evaluate = (expression) => cdp.send('Runtime.evaluate', { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true });
  await evaluate(AXE);
  const { result } = await evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ': ' + html.slice(0, 200) + ' ' + failureSummary)))`);
  await cdp.detach();
  return result.value;
}

/* What is wider than the window, or partly outside it, though it does not scroll by itself. */
const overflowing = (page) => page.evaluate(() => [...document.querySelectorAll('body *')].filter((element) => {
  const box = element.getBoundingClientRect();
  const scrolls = (one) => one && one !== document.body && (/auto|scroll|hidden/.test(getComputedStyle(one).overflowX) || scrolls(one.parentElement));
  const unseen = element.closest('[inert]') || getComputedStyle(element).clipPath !== 'none' || element.closest('.skip, .math');
  return !unseen && box.width > 0 && (box.left < -1 || box.right > window.innerWidth + 1) && !scrolls(element.parentElement);
}).map((element) => `wide: ${element.tagName} ${element.id} ${element.className}`));

/* Words that do not fit into what they stand in, and are cut. */
const clipped = (page) => page.evaluate(() => [...document.querySelectorAll('button, .button, label, summary, th, td, .card-head, .note, .hint, h1, h2')].filter((element) => {
  const style = getComputedStyle(element);
  return !element.closest('[inert], .unseen') && element.clientWidth > 0 && style.overflowX !== 'visible' && style.textOverflow !== 'ellipsis'
    && element.scrollWidth > element.clientWidth + 1;
}).map((element) => `cut: ${element.outerHTML.slice(0, 150)}`));

/* Words of buttons and headings that go on in the next line; long ones may. */
const broken = (page) => page.evaluate((longest) => [...document.querySelectorAll('button, .button, h1, h2, th, .tabs a, .state')].flatMap((element) => {
  if (element.closest('[inert], .unseen')) return [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const { 0: word, index } of node.data.matchAll(/[^\s-]+/g)) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
      if (lines.size > 1 && word.length <= longest) found.push(`broken: ${word}`);
    }
  }
  return found;
}), LONG_WORD);

/* Buttons and fields that a finger misses; links within a text are excepted (WCAG 2.5.8). */
const tooSmall = (page) => page.evaluate((px) => [...document.querySelectorAll('button, input:not([type=file]), select, summary, nav a, a.button, .links a')]
  .filter((element) => {
    const { width, height } = element.getBoundingClientRect();
    return !element.closest('[inert]') && !element.classList.contains('unseen') && width > 0 && (width < px || height < px);
  }).map(({ outerHTML }) => `small: ${outerHTML.slice(0, 150)}`), TARGET_MIN_PX);

/* Words that nobody translated: keys that are shown as they are. */
const keysShown = (page) => page.evaluate((keys) => {
  const text = document.body.innerText;
  return keys.filter((key) => key.includes('.') && new RegExp(`(?<![\\w.])${key.replaceAll('.', '\\.')}(?![\\w.])`).test(text)).map((key) => `key: ${key}`);
}, Object.keys(words.en));

const speaks = async (page) => {
  const language = await page.evaluate(() => document.documentElement.lang);
  return language === current.language ? [] : [`the page speaks ${language}`];
};

/* All that is wrong with what is seen now. */
export const faultsOf = async (page) => [
  ...await axeFaults(page), ...await overflowing(page), ...await clipped(page), ...await broken(page), ...await tooSmall(page), ...await keysShown(page), ...await speaks(page),
];
