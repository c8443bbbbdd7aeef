// The answer breaks off.  The last test kills the worker.
import assert from 'node:assert/strict';
import net from 'node:net';
import test, { after, before } from 'node:test';
import {
  ask, begin, draft, eventually, hang, launch, notes, pageURL, problem, say, script, texts, whenReady, withPage, workerPid,
} from './support.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const LOST = 'The connection was lost before the answer was complete. What came of the answer is kept.';

/* A wire to the page that can be cut. */
async function wire() {
  const sockets = new Set();
  const server = net.createServer((client) => {
    const { hostname, port } = new URL(pageURL);
    const front = net.connect(Number(port), hostname);
    for (const [from, to] of [[client, front], [front, client]]) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut() {
      server.close();
      sockets.forEach((socket) => socket.destroy());
    },
  };
}

test('lost: a connection that is cut is told, and what came is kept', async () => {
  const line = await wire();
  await withPage(browser, async (page) => {
    const mock = await script(begin(say('Half an'), hang));
    await ask(page, mock.prompt);
    await eventually(() => texts(page, 'assistant'), ['Half an']);
    line.cut();
    await eventually(() => notes(page), [LOST]);
    assert.deepEqual(await texts(page, 'assistant'), ['Half an']);
    await whenReady(page);
  }, { url: line.url, faults: [/ERR_/] });
});

test('lost: a server that cannot be reached is told, and the question kept', async () => {
  await withPage(browser, async (page, context) => {
    await context.setOffline(true);
    await ask(page, 'Anybody there?');
    await eventually(() => problem(page), ['The server cannot be reached. Check your connection and send again.']);
    assert.equal(await draft(page), 'Anybody there?');
  }, { faults: [/ERR_INTERNET_DISCONNECTED/] });
});

test('lost: a model that breaks off is told, and what came is kept', async () => {
  await withPage(browser, async (page) => {
    const mock = await script(begin(say('Half an'), ['fin']));
    await ask(page, mock.prompt);
    await eventually(() => texts(page, 'assistant'), ['Half an']);
    await whenReady(page);
    const [note, ...more] = await notes(page);
    assert.match(note, /What came of the answer is kept\.$/);
    assert.deepEqual(more, []);
  });
});

test('lost: a worker that dies is not taken for the end of the answer', async () => {
  await withPage(browser, async (page) => {
    const mock = await script(begin(say('Half an'), hang));
    await ask(page, mock.prompt);
    await eventually(() => texts(page, 'assistant'), ['Half an']);
    process.kill(workerPid, 'SIGKILL');
    await eventually(() => notes(page), [LOST]);
    assert.deepEqual(await texts(page, 'assistant'), ['Half an']);
  });
});
