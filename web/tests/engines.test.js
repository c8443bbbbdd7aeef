// Debian 12 has Node 18: all that builds the pages and tests them has to do with that.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

const DEBIAN = [18, 13, 0];
const LOCKS = ['web', 'tests/browser', 'tests/clients'];
// These say that they want 20; with 18 they were tried, and the tests of client libraries, of the S3 store and of the pages pass.
const TRIED = new Set(['node_modules/@vercel/oidc', 'node_modules/@20minutes/s3rver', 'node_modules/commander', 'node_modules/marked']);

const versionOf = (text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0);
function compare(a, b) {
  const at = [0, 1, 2].find((i) => (a[i] ?? 0) !== (b[i] ?? 0));
  return at === undefined ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

/* Of npm's ranges those that occur: alternatives of >=, <, ^ and plain versions, and anything at all. */
function admits(range, version) {
  return range.split('||').some((alternative) => (alternative.trim().replaceAll(/([<>=^~]+)\s+/g, '$1').split(/\s+/)).every((part) => {
    const [, sign, text] = /^([<>=^~]*)v?([\d.x*]*)$/.exec(part) ?? assert.fail(`${range}: not a range that is known here`);
    const bound = versionOf(text);
    switch (sign) {
    case '>=': return compare(version, bound) >= 0;
    case '>': return compare(version, bound) > 0;
    case '<': return compare(version, bound) < 0;
    case '<=': return compare(version, bound) <= 0;
    default: return text === '' || text === '*' || (version[0] === bound[0] && compare(version, bound) >= 0);
    }
  }));
}

test('engines: ranges are read as npm reads them', () => {
  for (const range of ['>=18', '>= 12', '*', '^18.0.0 || >=20', '18.x', '>=14 <19']) assert.ok(admits(range, DEBIAN), range);
  for (const range of ['>=20', '^20', '^18.18.0 || >=20', '>=14 <18', '16']) assert.ok(!admits(range, DEBIAN), range);
});

test('engines: every library does with the Node of Debian 12', () => {
  for (const place of LOCKS) {
    const { packages } = JSON.parse(readFileSync(new URL(`../../${place}/package-lock.json`, import.meta.url), 'utf8'));
    const refusing = Object.entries(packages).filter(([name, { engines }]) => engines?.node && !TRIED.has(name) && !admits(engines.node, DEBIAN)).map(([name, { engines }]) => `${name} ${engines.node}`);
    assert.deepEqual(refusing, [], place);
  }
});
