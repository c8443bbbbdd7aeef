// What a guest can do with a conversation.
import assert from 'node:assert/strict';
import test from 'node:test';
import {
  CUT, HANG, api, ask, cutOff, draft, eventually, inPage, look, named, notes, problem, refused, saved, t, texts, whenReady,
} from './pages.js';

const MARKDOWN = [
  '# Plan\n\nIt is **bold**, *slanted* and `code`.\n\n', '1. First\n2. Second\n\n- [x] done\n- open\n\n',
  '```python\ndef f(x):\n    return x + 1\n```\n\n', '| City | Degrees |\n|:--|--:|\n| Kigali | 21 |\n\n', 'So $x^2$ and $$\\frac{1}{2}$$\n\n', '> quoted\n',
];
const pieces = (text) => text.match(/[^]{1,5}/g);

const WEATHER = {
  location: 'Kigali, Rwanda', units: { temperature: '°C', wind_speed: 'km/h' }, current: { conditions: 'light rain', temperature: 19.4, humidity_percent: 82 },
  days: ['25', '26', '27', '28'].map((day, i) => ({ date: `2026-11-${day}`, temperature_min: 15 + i, temperature_max: 24 + i, precipitation_chance_percent: 60 - i })),
  source: 'Open-Meteo',
};
const RATES = Array.from({ length: 20 }, (_, i) => ({ date: `2026-11-${String(i + 1).padStart(2, '0')}`, rate: 1430 + i }));
const CURRENCY = { amount: 100, from: 'USD', to: 'RWF', result: 145230, rate: 1452.3, rate_date: '2026-11-24', source: 'Frankfurter', series: RATES,
  history: { first: RATES[0], change_percent: 1.33 } };
const NEWS = { articles: [{ title: 'A new bus line', source: 'The Times', url: 'https://example.org/bus', published_at: '2026-11-24T10:00:00Z' }] };

test('a model that takes its time: the page says so, until it begins', inPage(async (page) => {
  api.answer({ extras: { waiting: 'model' } }, { gate: 'begun' }, 'Here.');
  await ask(page, 'Slowly');
  await page.getByText(t('answer.late')).waitFor();
  await look(page, 'waiting');
  api.open('begun');
  await whenReady(page);
  assert.equal(await page.getByText(t('answer.late')).count(), 0);
}));

test('markdown: code, tables, lists and formulas are drawn as they come', inPage(async (page) => {
  api.answer(...pieces(MARKDOWN.join('')));
  await ask(page, 'Show me');
  await whenReady(page);
  const answer = page.locator('.assistant .text');
  await answer.locator('.hljs-keyword').first().waitFor();
  await answer.locator('math mfrac').waitFor();
  await eventually(() => answer.locator('> *').evaluateAll((all) => all.map(({ tagName }) => tagName)), ['H3', 'P', 'OL', 'UL', 'FIGURE', 'DIV', 'P', 'BLOCKQUOTE']);
  assert.equal(await answer.locator('td[align=right]').innerText(), '21');
  assert.equal(await answer.locator('code.hljs, pre code').innerText(), 'def f(x):\n    return x + 1');
}, { runs: 4 }));

test('markdown: what is drawn in pieces is what is drawn at once', inPage(async (page) => {
  const whole = MARKDOWN.join('');
  const html = async () => page.locator('.assistant .text').last().evaluate((text) => text.innerHTML.replaceAll(/<(\/?)(?:span|math)[^]*?>/g, ''));
  api.answer(...pieces(whole));
  await ask(page, 'In pieces');
  await whenReady(page);
  await page.locator('.assistant .drawn').nth(1).waitFor();
  await page.locator('.hljs-keyword').first().waitFor();
  const first = await html();
  api.answer(whole);
  await ask(page, 'At once');
  await whenReady(page);
  await page.locator('.assistant .drawn').nth(3).waitFor();
  await page.locator('.message').last().locator('.hljs-keyword').first().waitFor();
  assert.equal(await html(), first);
}, { once: true }));

test('markdown: code that takes for ever to colour stays as it is, and holds up nothing', inPage(async (page) => {
  const slow = '$'.repeat(60_000);      // Java's grammar would take a minute
  api.answer(`\`\`\`java\n${slow}\n\`\`\`\n\nand\n\n\`\`\`python\ndef f(x):\n    return x + 1\n\`\`\`\n`);
  await ask(page, 'Show me');
  await whenReady(page);
  const codes = page.locator('.assistant pre code');
  await codes.nth(1).locator('.hljs-keyword').first().waitFor();
  assert.equal(await codes.nth(0).innerHTML(), slow);
}, { once: true }));

test('answer: its last words are there as soon as one can go on', inPage(async (page) => {
  await page.evaluate(() => {
    window.requestAnimationFrame = () => 0;             // a busy machine draws no frame
    new MutationObserver(() => {
      const answer = document.querySelector('.assistant');
      if (answer && document.getElementById('send')) window.seen ??= answer.querySelector('.text').textContent.trim();
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  api.answer('All of ', 'it.');
  await ask(page, 'Hello');
  await eventually(() => page.evaluate(() => window.seen), 'All of it.');
}, { once: true }));

test('markdown: what is drawn stays, however long the answer grows', inPage(async (page) => {
  const paragraphs = Array.from({ length: 400 }, (_, i) => `Paragraph ${i} with **some** words in it.\n\n`);
  api.answer(...paragraphs.slice(0, 10), { gate: 'more' }, ...paragraphs.slice(10));
  await ask(page, 'A long one');
  await eventually(() => page.locator('.assistant .text > p').count(), 10);
  await page.evaluate(() => {
    window.changes = 0;
    window.kept = [...document.querySelectorAll('.assistant .text > p')].slice(0, 9);
    window.kept.forEach((paragraph) => new MutationObserver((all) => { window.changes += all.length; }).observe(paragraph, { childList: true, characterData: true, subtree: true }));
  });
  api.open('more');
  await whenReady(page);
  await eventually(() => page.locator('.assistant .text > p').count(), 400);
  assert.deepEqual(await page.evaluate(() => [window.changes, window.kept.every(({ isConnected }) => isConnected)]), [0, true]);
}, { once: true }));

test('copy: the answer, and a piece of code', inPage(async (page, context) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  api.answer('Run:\n\n```sh\nmake all\n```\n');
  await ask(page, 'How?');
  await whenReady(page);
  await page.click('.copy-code');
  await eventually(() => page.evaluate(() => navigator.clipboard.readText()), 'make all');
  await named(page, 'button', t('answer.copy')).click();
  await eventually(() => page.evaluate(() => navigator.clipboard.readText()), 'Run:\n\n```sh\nmake all\n```\n');
}));

test('versions: an answer asked for again stands beside the first', inPage(async (page) => {
  api.answer('One.');
  await ask(page, 'Question');
  await whenReady(page);
  api.answer('Two.');
  await named(page, 'button', t('answer.again')).click();
  await eventually(() => texts(page, 'assistant'), ['Two.']);
  assert.deepEqual(api.chats()[1].messages, [{ role: 'user', content: 'Question' }]);
  await whenReady(page);
  assert.equal(await page.locator('.assistant .versions').innerText(), t('versions.which', { version: 2, versions: 2 }));
  await named(page, 'button', t('versions.previous')).click();
  await eventually(() => texts(page, 'assistant'), ['One.']);
}));

test('versions: a question can be asked in other words, and the first is kept', inPage(async (page) => {
  api.answer('One.');
  await ask(page, 'First words');
  await whenReady(page);
  await named(page, 'button', t('question.edit')).click();
  await look(page, 'editing');
  await page.fill('textarea.edit', 'Other words');
  api.answer('Two.');
  await page.locator('.editor button[type=submit]').click();
  await eventually(() => texts(page, 'assistant'), ['Two.']);
  assert.deepEqual(api.chats()[1].messages, [{ role: 'user', content: 'Other words' }]);
  await whenReady(page);
  await page.locator('.user .versions button').first().click();
  await eventually(() => texts(page, 'assistant'), ['One.']);
  assert.deepEqual(await texts(page, 'user'), ['First words']);
}));

test('tools: what they do and find is drawn', inPage(async (page) => {
  api.answer({ tool: { id: '1', name: 'weather', arguments: { location: 'Kigali' }, status: 'running' } }, { gate: 'found' },
    { tool: { id: '1', name: 'weather', status: 'done', cached: false, ms: 184, result: WEATHER } },
    { tool: { id: '2', name: 'currency', arguments: { amount: 100, from: 'USD', to: 'RWF' }, status: 'done', cached: true, ms: 2, result: CURRENCY } },
    { tool: { id: '3', name: 'news', arguments: {}, status: 'done', cached: false, ms: 90, result: NEWS } },
    { tool: { id: '4', name: 'web_search', arguments: { query: 'x' }, status: 'failed', error: 'no answer in time' } }, 'That is it.');
  await ask(page, 'Weather?');
  await page.locator('.tool.running').waitFor();
  await look(page, 'running');
  api.open('found');
  await whenReady(page);
  await page.locator('.card-currency .plot canvas').waitFor();
  await page.locator('.card-weather .plot canvas').waitFor();
  assert.equal(await page.locator('.days li').count(), 4);
  assert.equal(await page.locator('.links a').getAttribute('href'), 'https://example.org/bus');
  assert.match(await page.locator('.tool.failed').innerText(), /no answer in time/);
  const [weather, currency] = (await page.locator('.tool').allInnerTexts()).map((text) => text.replaceAll(/\s/g, ' '));
  assert.equal(weather, `${t('tool.weather')} (Kigali): 184 ms`);
  assert.ok(currency.endsWith(`2 ms, ${t('tool.cached')}`), currency);
  await page.locator('.card-currency', { hasText: '%' }).waitFor();
  for (const card of ['.card-weather', '.card-currency', '.tool.failed']) {
    await page.locator(card).evaluate((element) => element.scrollIntoView());
    await look(page, card.split(/\W/).at(-1));
  }
}, { runs: 4 }));

test('tools: a result of any shape does no harm', inPage(async (page) => {
  for (const [i, result] of [null, 7, [], { days: 5, current: 'x' }, { articles: [null, { title: {} }] }, { result: '9', rate: {} }, { days: [{ date: 1, temperature_max: 3 }] }].entries()) {
    api.answer({ tool: { id: '1', name: ['weather', 'currency', 'news'][i % 3], arguments: null, status: 'done', result } }, 'Still here.');
    await ask(page, 'Go');
    await whenReady(page);
  }
  await eventually(() => texts(page, 'assistant'), Array(7).fill('Still here.'));
}, { once: true }));

test('limited: a countdown, then it can be sent again', inPage(async (page) => {
  const now = Date.now();
  await page.clock.setFixedTime(now);
  api.fail('/api/chat', { status: 429, type: 'rate_limit_exceeded', message: 'Too many requests.', headers: { 'Retry-After': '60' } });
  await ask(page, 'Patience');
  await eventually(() => page.isDisabled('#send'), true);
  await eventually(() => page.textContent('#countdown'), ` ${t('problem.wait', { count: 60, seconds: 60 })}`);
  await look(page, 'waiting');
  assert.equal(await draft(page), 'Patience');
  await page.clock.setFixedTime(now + 59_000);
  await eventually(() => page.textContent('#countdown'), ` ${t('problem.wait', { count: 1, seconds: 1 })}`);
  assert.ok(await page.isDisabled('#send'));
  await page.clock.setFixedTime(now + 60_000);
  await eventually(() => problem(page), [t('problem.sendAgain')]);
  await page.click('#send');
  await eventually(() => texts(page, 'assistant'), ['This is an answer.']);
}, { faults: refused }));

/* What arrived before the wire is cut is seen, for a browser throws away what it had not handed over. */
async function breakOff(page, question, begun) {
  api.answer(begun, { gate: 'cut' }, CUT);
  await ask(page, question);
  await eventually(() => texts(page, 'assistant'), [begun]);
  api.open('cut');
}

test('lost: what came is kept, and can be gone on with', inPage(async (page) => {
  await breakOff(page, 'Tell me', 'Half an');
  await eventually(() => notes(page), [`${t('problem.lost')} ${t('note.kept')}`]);
  api.answer(' answer.');
  await named(page, 'button', t('continue')).click();
  await eventually(() => texts(page, 'assistant'), ['Half an', 'answer.']);
  assert.deepEqual(api.chats()[1].messages.map(({ role }) => role), ['user', 'assistant', 'user']);
}, { faults: cutOff }));

test('lost: or asked for again', inPage(async (page) => {
  await breakOff(page, 'Mbwira', 'Igice');
  await eventually(() => notes(page), [`${t('problem.lost')} ${t('note.kept')}`]);
  await look(page, 'lost');
  await named(page, 'button', t('tryAgain')).click();
  await eventually(() => texts(page, 'assistant'), ['This is an answer.']);
}, { faults: cutOff }));

test('kept: a guest has the conversation after a reload, and not after a new chat', inPage(async (page) => {
  api.answer('I remember.');
  await ask(page, 'Remember this');
  await whenReady(page);
  await page.reload();
  await eventually(() => texts(page, 'assistant'), ['I remember.']);
  await ask(page, 'And then?');
  await eventually(async () => api.chats().at(-1).messages.length, 3);
  await whenReady(page);
  await page.click('#new-chat');
  await page.reload();
  await page.locator('#welcome').waitFor();
}));

test('kept: the conversation as a file', inPage(async (page) => {
  api.answer('An *answer*.');
  await ask(page, 'A question');
  await whenReady(page);
  const save = (kind) => saved(page, async () => {
    await named(page, 'button', t('export')).click();
    await named(page, 'menuitem', t(kind)).click();
  });
  assert.match((await save('export.markdown')).text, new RegExp(`^# Bakame\\n\\n## ${t('speaker.user')}, .*\\n\\nA question\\n\\n## Bakame, .*\\n\\nAn \\*answer\\*\\.\\n$`));
  const json = await save('export.json');
  assert.equal(json.name, 'Bakame.json');
  assert.deepEqual(JSON.parse(json.text).messages.map(({ role, text }) => [role, text]), [['user', 'A question'], ['assistant', 'An *answer*.']]);
}));

test('reading: whoever scrolls up stays there, and finds the way back', inPage(async (page) => {
  api.answer('Line.\n\n'.repeat(60), { gate: 'more' }, 'More.\n\n'.repeat(20), { gate: 'end' });
  await ask(page, 'A long one');
  const view = page.locator('#conversation');
  const fromEnd = () => view.evaluate(({ scrollHeight, scrollTop, clientHeight }) => Math.round(scrollHeight - scrollTop - clientHeight));
  await page.locator('.assistant p', { hasText: 'Line.' }).nth(59).waitFor();
  await eventually(async () => await fromEnd() <= 2, true);
  await view.hover();
  await page.mouse.wheel(0, -600);
  await named(page, 'button', t('toEnd')).waitFor();
  const at = await view.evaluate(({ scrollTop }) => scrollTop);
  api.open('more');
  await page.locator('.assistant p', { hasText: 'More.' }).nth(19).waitFor();
  assert.equal(await view.evaluate(({ scrollTop }) => scrollTop), at);
  await named(page, 'button', t('toEnd')).click();
  await eventually(async () => await fromEnd() <= 2, true);
  api.open('end');
  await whenReady(page);
}));

test('reading: an answer is told to screen readers in sentences', inPage(async (page) => {
  const told = page.locator('.conversation-frame > [aria-live=polite]');
  api.answer('The first sentence. ', 'The **second** one', { gate: 'end' }, ' ends.');
  await ask(page, 'Speak');
  await eventually(async () => (await told.textContent()).trim(), 'The first sentence.');
  api.open('end');
  await eventually(async () => (await told.textContent()).replaceAll(/\s+/g, ' ').trim(), `The second one ends. ${t('answer.complete')}`);
}));

test('stop: the server is told at once', inPage(async (page) => {
  api.answer('Begun', HANG);
  await ask(page, 'Stop soon');
  await eventually(() => texts(page, 'assistant'), ['Begun']);
  await page.click('#stop');
  await eventually(async () => api.asked('/api/chat')[0].gone, true);
  await eventually(() => notes(page), [t('note.stopped')]);
}));

test('kept: a guest has what was asked, and what came, when the page goes in the middle', inPage(async (page) => {
  api.answer('Begun', HANG);
  await ask(page, 'Remember this');
  await eventually(() => texts(page, 'assistant'), ['Begun']);
  // A phone takes away what is not looked at, without a word: what is kept by then has to do.
  assert.deepEqual(await page.evaluate(() => {
    document.dispatchEvent(new Event('visibilitychange'));
    return JSON.parse(sessionStorage.getItem('bakame-guest')).messages.map(({ content }) => content);
  }), ['Remember this', 'Begun']);
  await page.reload();
  await eventually(() => texts(page, 'user'), ['Remember this']);
  await eventually(() => texts(page, 'assistant'), ['Begun']);
  await eventually(() => notes(page), [t('note.interrupted')]);
}));

test('kept: and not what a new chat was begun in the middle of', inPage(async (page) => {
  api.answer('Begun', HANG);
  await ask(page, 'Forget this');
  await eventually(() => texts(page, 'assistant'), ['Begun']);
  await page.click('#new-chat');
  await page.locator('#welcome').waitFor();
  await eventually(async () => api.asked('/api/chat')[0].gone, true);
  await page.reload();
  await page.locator('#welcome').waitFor();
  assert.deepEqual(await texts(page, 'user'), []);
}));
