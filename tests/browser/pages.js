// pages.js - pages before the mock of the API: one browser for all tests of a file, and for each page a mock of its own.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { faultsOf, isPhone, lookOf, looksOf, useLook } from './looks.js';
import { startApi } from './mock_api.mjs';
import { launch, screenshot, withPage } from './support.js';

export { CUT, HANG } from './mock_api.mjs';
export { digits, isPhone, lookOf, t, told } from './looks.js';
export * from './support.js';

export let api;
let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

let features = 0;
let feature = '';
let shown = '';

/* Looks at the page as it is now: keeps a picture of it, and fails on whatever must not be in any look. */
export async function look(page, part = '') {
  await screenshot(page, [feature, part, shown].filter(Boolean).join('-'));
  assert.deepEqual(await faultsOf(page), []);
}

/* The page knows who is signed in, and has the list of what was talked about: what is done before would be a guest's. */
async function whenKnown(page, { name, email }) {
  await page.locator('.sidebar-foot', { hasText: name || email }).waitFor({ state: 'attached' });
  await page.locator('.conversation-item, .conversations .nothing').first().waitFor({ state: 'attached' });
}

/* A feature: `body` runs in a page of its own, before a mock that is new, in each of its looks (see looks.js), and what is
   seen in the end is looked at.  `as`, where given, is who is signed in: what api.addUser() takes; the body gets the page,
   its context and that user.  `at` is the page's part of the address.  `runs` is 2, or 4 for what is drawn more
   than written; `once` is for what no look can change; `workers` lets the service worker in. */
export const inPage = (body, { as, at = '', setUp = () => {}, runs = 2, once = false, workers = false, ...options } = {}) => {
  const looks = once ? [lookOf('desktop', 'en', 'light')] : looksOf(features++, runs);
  return async ({ name }) => {
    for (const one of looks) {
      feature = name.replaceAll(/[^a-z0-9]+/gi, '-').slice(0, 60);
      shown = one.name;
      useLook(one);
      api = await startApi();           // what a page before this one still asks for, it asks elsewhere
      try {
        const user = as && api.addUser(as);
        await setUp(user);
        await withPage(browser, async (page, context) => {
          if (user) await whenKnown(page, user);
          await body(page, context, user);
          if (!once) await look(page);
        }, {
          ...one.options,
          reducedMotion: 'reduce',
          serviceWorkers: workers ? 'allow' : 'block',
          ...options,
          url: `${api.url}/${at}`,
          prepare: async (context) => {
            if (user) {
              await context.addCookies([api.session(user)]);
              await context.addInitScript(() => localStorage.setItem('bakame-signed-in', 'true'));
            }
          },
        });
      } catch (error) {
        error.message = `${one.name}: ${error.message}`;
        throw error;
      } finally {
        await api.stop();
      }
    }
  };
};

/* What the browser says when a request is refused, or cut off. */
export const refused = [/Failed to load resource.*status of \d+/];
export const cutOff = [/ERR_/];

export const named = (page, role, name) => page.getByRole(role, { name, exact: true });

/* On a phone the menu is shut until somebody opens it. */
export async function openMenu(page) {
  if (isPhone() && await page.locator('#sidebar').evaluate(({ inert }) => inert)) {
    await page.click('#open-menu');
    await page.locator('#sidebar.open').waitFor();
  }
}

/* What is saved by `act`, as {name, text}. */
export async function saved(page, act) {
  const [download] = await Promise.all([page.waitForEvent('download'), act()]);
  const parts = [];
  for await (const part of await download.createReadStream()) parts.push(part);
  return { name: download.suggestedFilename(), text: Buffer.concat(parts).toString() };
}
