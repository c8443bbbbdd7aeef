// What administrators do.
import assert from 'node:assert/strict';
import test from 'node:test';
import { api, digits, eventually, inPage, look, named, openMenu, refused, t } from './pages.js';

const ADMIN = { email: 'ada@example.org', name: 'Ada', role: 'admin' };
const BOB = { email: 'bob@example.org', name: 'Bob' };

test('admin: people are found, disabled, limited, made administrators; the last one stays', inPage(async (page) => {
  const bob = [...api.users.values()].find(({ name }) => name === 'Bob');
  const row = page.locator('.rows tbody tr', { hasText: 'Bob' });
  await page.getByLabel(t('users.roleOf', { name: 'ada@example.org' })).selectOption('user');
  await page.locator('.notice', { hasText: t('users.lastAdmin') }).waitFor();
  await look(page, 'last');
  await page.locator('.notice').getByRole('button', { name: t('close') }).click();
  await eventually(() => page.getByLabel(t('users.roleOf', { name: 'ada@example.org' })).inputValue(), 'admin');
  await page.getByLabel(t('users.search')).fill('bob@');
  await eventually(() => page.locator('.rows tbody tr').count(), 1);
  await row.getByRole('button', { name: `${t('users.disable')} (bob@example.org)` }).click();
  await row.getByRole('button', { name: `${t('users.enable')} (bob@example.org)` }).waitFor();
  assert.equal(bob.disabled, true);
  await row.getByRole('button', { name: t('users.limitOf', { name: 'bob@example.org' }) }).click();
  await page.locator('dialog input').first().fill('a lot');
  assert.ok(await named(page, 'button', t('save')).isDisabled());
  await look(page, 'limit');
  await page.locator('dialog input').first().fill('200/60');
  await page.locator('dialog input').last().fill('5000');
  await named(page, 'button', t('save')).click();
  await row.getByText(new RegExp(`^200/60, ${t('users.tokensADay', { tokens: digits(5000) })}$`)).waitFor();
  await look(page, 'changed');
  assert.deepEqual([bob.rate_limit, bob.tokens_per_day], ['200/60', 5000]);
  await page.getByLabel(t('users.roleOf', { name: 'bob@example.org' })).selectOption('admin');
  await eventually(() => bob.role, 'admin');
  await named(page, 'link', t('admin.audit')).click();
  await eventually(() => page.locator('.rows tbody tr').count(), 3);
}, { as: ADMIN, at: '#/admin', setUp: () => { api.addUser(BOB); }, faults: refused }));

test('admin: usage by days and hours, as a plot', inPage(async (page) => {
  await page.locator('.plot canvas').waitFor();
  assert.match(await page.locator('.totals').innerText(), new RegExp(`${t('usage.requests')}\\s+60`));
  await page.getByLabel(t('usage.span'), { exact: true }).selectOption('24h');
  await eventually(() => api.asked('/api/admin/usage').length, 2);
  assert.match(api.asked('/api/admin/usage')[1].path, /bucket=hour/);
  await page.getByLabel(t('usage.kind'), { exact: true }).selectOption('tokens');
  assert.match(await page.locator('.rows tbody').innerText(), /ada@example\.org\s+60\s+45\s+3\s+0/);
  await named(page, 'img', t('usage.plot', { what: t('usage.tokens'), total: 45 })).waitFor();
}, {
  as: ADMIN, at: '#/admin/usage',
  setUp: () => { api.usage = [1, 2, 3].map((i) => ({ at: `2026-11-0${i}T00:00:00Z`, requests: i * 10, prompt_tokens: 10, completion_tokens: 5, tool_calls: 1, errors: 0 })); api.usage_users = [{ user_id: 'x', email: 'ada@example.org', requests: 60, prompt_tokens: 30, completion_tokens: 15, tool_calls: 3, errors: 0 }]; },
}));

test('admin: services are looked at again and again, and reset', inPage(async (page) => {
  const state = () => page.locator('.state').first().innerText();
  await eventually(state, t('services.state.open'));
  assert.match(await page.locator('.rows tbody tr').last().innerText(), new RegExp(`database\\s+${t('services.state.healthy')}\\s+–\\s+4\\sms`));
  await look(page, 'open');
  await named(page, 'button', `${t('services.reset')} (weather)`).click();
  await eventually(() => api.asked('/api/admin/services/weather/reset', 'POST').length, 1);
  api.services.services[0].state = 'closed';
  await eventually(state, t('services.state.closed'));           // by itself, within 5 s
}, { as: ADMIN, at: '#/admin/services', setUp: () => { api.services = { services: [{ name: 'weather', state: 'open', failures: 3 }] }; } }));

test('admin: nobody else sees the pages', inPage(async (page) => {
  await page.locator('.failure', { hasText: t('admin.forbidden') }).waitFor();
  await openMenu(page);
  assert.equal(await named(page, 'link', t('admin')).count(), 0);
  assert.deepEqual(api.asked('/api/admin'), []);
}, { as: BOB, at: '#/admin' }));
