// mock_api.mjs - the whole API in memory, for tests of the pages: what the contract says, and what goes wrong.
//
// Serves web/dist as the front does, with the same headers.  A test scripts what it wants next:
//
//   api.answer(...steps)       the next chat: texts, {tool}, {gate: name}, {pause: ms}, {error}, {extras}, CUT, HANG
//   api.fail(path, {status, type, message, headers, times, method})    the next request of a path that begins so
//   api.slow(path, gate)       the next such request waits for the gate
//   api.open(name)             open a gate
//
// and looks at what came: api.requests, each {method, path, body, headers, gone}.

import { randomUUID } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRoutes } from './mock_routes.mjs';

const TOP = fileURLToPath(new URL('../..', import.meta.url));
const DIST = path.join(TOP, 'web/dist');
const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'application/javascript', '.css': 'text/css', '.svg': 'image/svg+xml',
  '.txt': 'text/plain', '.webmanifest': 'application/manifest+json', '.json': 'application/json',
};
const BODY_MAX = 25 * 1024 * 1024;

export const CUT = Symbol('the connection is cut');
export const HANG = Symbol('nothing more comes');

/* The add_header lines of the configuration that is shipped. */
async function frontHeaders() {
  const found = (await readdir(path.join(TOP, 'nginx'), { recursive: true })).find((name) => /headers\.conf$/.test(name));
  const lines = (await readFile(path.join(TOP, 'nginx', found), 'utf8')).matchAll(/^add_header\s+(\S+)\s+"([^"]*)"/gm);
  return Object.fromEntries([...lines].map((match) => [match[1], match[2]]));
}

async function readBody(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > BODY_MAX) throw new Error('too large');
    parts.push(part);
  }
  return Buffer.concat(parts);
}

class MockApi {
  constructor(headers) {
    this.headers = headers;
    this.server = http.createServer((request, response) => this.serve(request, response));
    this.users = new Map();
    this.sessions = new Map();
    this.audit = [];
    this.answers = [];
    this.failures = [];
    this.waits = [];
    this.gates = new Map();
    this.requests = [];
    this.open_streams = new Set();
    this.model = 'mock-model';
    this.accounts = true;
    this.message_ids = true;
    this.keeps = true;          // turns; else neither the database nor Redis is there
    this.usage = [];
    this.usage_users = [];
    this.services = {};
    this.health = { status: 'healthy', version: '0', uptime: 1, services: { database: { status: 'healthy', latency: 4 } } };
    this.routes = createRoutes(this);
  }

  start() {
    return new Promise((resolve) => { this.server.listen(0, '127.0.0.1', resolve); });
  }

  get url() { return `http://127.0.0.1:${this.server.address().port}`; }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(resolve); });
  }

  /* --- what a test asks for ---------------------------------------------------------------- */

  answer(...steps) { this.answers.push(steps); }
  answerFrom(steps) { this.answers.push(steps); }    // an async iterable of them
  fail(at, failure) { this.failures.push({ at, times: 1, status: 500, type: 'internal_error', message: 'It failed.', ...failure }); }
  slow(at, gate) { this.waits.push({ at, gate }); }

  gate(name) {
    if (!this.gates.has(name)) {
      let open;
      const promise = new Promise((resolve) => { open = resolve; });
      this.gates.set(name, { promise, open });
    }
    return this.gates.get(name);
  }

  open(name) { this.gate(name).open(); }
  asked(at, method) { return this.requests.filter((one) => one.path.startsWith(at) && (!method || one.method === method)); }
  chats() { return this.asked('/api/chat').map((request) => JSON.parse(request.body)); }

  addUser({ email = 'ada@example.org', password = 'a good long password', name = 'Ada', role = 'user', ...more } = {}) {
    const user = {
      id: randomUUID(), email, password, name, role, disabled: false, rate_limit: null, tokens_per_day: null, created_at: '2026-01-05T08:00:00Z',
      keys: [], uploads: new Map(), conversations: new Map(), ...more,
    };
    this.users.set(email.toLowerCase(), user);
    return user;
  }

  addConversation(user, title, messages, members = {}) {
    const at = new Date(Date.now() - user.conversations.size * 3_600_000).toISOString();
    const conversation = { id: randomUUID(), title, pinned: false, created_at: at, updated_at: at, messages: [], ...members };
    let parent = null;
    for (const [role, content, more = {}] of messages) {
      const message = { id: randomUUID(), parent_id: parent, role, content, status: 'complete', tools: null, attachments: [], created_at: at, ...more };
      conversation.messages.push(message);
      parent = message.id;
    }
    conversation.leaf_id = parent;
    user.conversations.set(conversation.id, conversation);
    return conversation;
  }

  /* The cookie that a browser context needs to be signed in. */
  session(user) {
    const token = randomUUID();
    this.sessions.set(token, { user, expired: false });
    return { name: 'bakame_session', value: token, url: this.url, httpOnly: true, sameSite: 'Lax' };
  }

  expireSessions() { for (const session of this.sessions.values()) session.expired = true; }

  /* --- serving ----------------------------------------------------------------------------- */

  async serve(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.url);
    for (const [name, value] of Object.entries(this.headers)) response.setHeader(name, value);
    response.setHeader('X-Request-Id', randomUUID());
    if (!/^\/(?:api|v1)\//.test(pathname)) {
      await this.serveFile(pathname, request, response);
      return;
    }
    const raw = await readBody(request).catch(() => Buffer.alloc(0));
    const seen = { method: request.method, path: request.url, body: raw.toString(), headers: request.headers, gone: false };
    this.requests.push(seen);
    response.on('close', () => { seen.gone = !response.writableFinished; });
    await this.hold(pathname);
    const failure = this.failures.find((one) => pathname.startsWith(one.at) && (!one.method || one.method === request.method));
    if (failure) {
      this.failUnless(failure, response);
      return;
    }
    const call = { request, response, raw, pathname, query: searchParams, seen };
    try {
      await this.routes(call);
    } catch (error) {
      this.refuse(response, error.status ?? 500, error.type ?? 'internal_error', error.message, error.headers);
    }
  }

  async hold(pathname) {
    const at = this.waits.findIndex((wait) => pathname.startsWith(wait.at));
    if (at >= 0) await this.gate(this.waits.splice(at, 1)[0].gate).promise;
  }

  failUnless(failure, response) {
    if (--failure.times === 0) this.failures.splice(this.failures.indexOf(failure), 1);
    if (failure.cut) response.destroy();
    else this.refuse(response, failure.status, failure.type, failure.message, failure.headers);
  }

  refuse(response, status, type, message, headers = {}) {
    this.json(response, status, { error: { type, message, request_id: response.getHeader('X-Request-Id') } }, headers);
  }

  json(response, status, value, headers = {}) {
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
    response.end(JSON.stringify(value));
  }

  async serveFile(pathname, request, response) {
    const name = pathname === '/' ? '/index.html' : path.posix.normalize(pathname);
    try {
      const type = TYPES[path.extname(name)];
      const packed = /\bgzip\b/.test(request.headers['accept-encoding']) && await readFile(path.join(DIST, `${name}.gz`)).catch(() => null);
      const bytes = packed || await readFile(path.join(DIST, name));
      response.writeHead(200, {
        ...(packed && { 'Content-Encoding': 'gzip' }),
        'Content-Type': type ?? 'application/octet-stream',
        'Cache-Control': name.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      });
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  }
}

export async function startApi() {
  const api = new MockApi(await frontHeaders());
  await api.start();
  return api;
}
