// mock_routes.mjs - what each path of the contract answers, from the memory of mock_api.mjs.

import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CUT, HANG } from './mock_api.mjs';

const PAGE_MAX = 100;
const PASSWORD_MIN = 8;
const UPLOAD_TYPES = [['\x89PNG', 'image/png'], ['%PDF', 'application/pdf'], ['\xff\xd8', 'image/jpeg'], ['GIF8', 'image/gif']];

class Refusal extends Error {
  constructor(status, type, message, headers = {}) {
    super(message);
    Object.assign(this, { status, type, headers });
  }
}

const notFound = () => new Refusal(404, 'not_found', 'There is nothing here.');

export function createRoutes(api) {
  /* --- who is asking ---------------------------------------------------------------------- */

  const tokenOf = (request) => /(?:^|; )bakame_session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];

  function userOf({ request }, required = true) {
    const token = tokenOf(request);
    if (token === undefined) {
      if (required) throw new Refusal(401, 'unauthorized', 'Sign in first.');
      return null;
    }
    const session = api.sessions.get(token);
    if (!session || session.expired) throw new Refusal(401, 'unauthorized', 'The session has ended: sign in again.');
    if (session.user.disabled) throw new Refusal(403, 'forbidden', 'This account is disabled.');
    return session.user;
  }

  function adminOf(call) {
    const user = userOf(call);
    if (user.role !== 'admin') throw new Refusal(403, 'forbidden', 'Only administrators may do this.');
    return user;
  }

  const shown = ({ id, email, name, role, disabled, created_at, upload_max_bytes = 20 << 20 }) => (
    { id, email, name, role, disabled, created_at, upload_max_bytes });

  function bodyOf({ raw }) {
    try {
      return JSON.parse(raw.toString());
    } catch {
      throw new Refusal(400, 'invalid_request', 'The body is not JSON.');
    }
  }

  function pageOf(items, query) {
    const limit = Math.min(Number(query.get('limit') ?? 30), PAGE_MAX);
    const start = Number(query.get('cursor') ?? 0);
    return { page: items.slice(start, start + limit), next_cursor: start + limit < items.length ? String(start + limit) : null };
  }

  function audit(call, actor, action, target, details = {}) {
    api.audit.unshift({ id: api.audit.length + 1, at: new Date().toISOString(), actor: actor.email, action, target, details, remote_addr: '127.0.0.1' });
  }

  /* --- accounts ---------------------------------------------------------------------------- */

  function begin(response, status, user) {
    const { value } = api.session(user);
    api.json(response, status, { user: shown(user), access_token: randomUUID(), expires_in: 3600 },
      { 'Set-Cookie': `bakame_session=${value}; HttpOnly; SameSite=Lax; Path=/` });
  }

  function signup(call) {
    const { email, password, name = '' } = bodyOf(call);
    if (!/^\S+@\S+$/.test(email ?? '')) throw new Refusal(422, 'unprocessable', 'email: not an e-mail address');
    if ((password ?? '').length < PASSWORD_MIN) throw new Refusal(422, 'unprocessable', `password: at least ${PASSWORD_MIN} characters`);
    if (api.users.has(email.toLowerCase())) throw new Refusal(409, 'conflict', 'email: there is an account with it already');
    begin(call.response, 201, api.addUser({ email, password, name }));
  }

  function login(call) {
    const { email, password } = bodyOf(call);
    const user = api.users.get(String(email).toLowerCase());
    if (!user || user.password !== password) throw new Refusal(401, 'unauthorized', 'Wrong e-mail or password.');
    begin(call.response, 200, user);
  }

  function logout({ request, response }) {
    api.sessions.delete(tokenOf(request));
    api.json(response, 200, {}, { 'Set-Cookie': 'bakame_session=; Max-Age=0; Path=/' });
  }

  function refresh({ request, response }) {
    const session = api.sessions.get(tokenOf(request));
    if (!session || session.gone) throw new Refusal(401, 'unauthorized', 'The session has ended: sign in again.');
    session.expired = false;
    api.json(response, 200, { user: shown(session.user), access_token: randomUUID(), expires_in: 3600 });
  }

  function changePassword(call) {
    const user = userOf(call);
    const { current, new: next } = bodyOf(call);
    if (user.password !== current) throw new Refusal(403, 'forbidden', 'current: not your password');
    if (next.length < PASSWORD_MIN) throw new Refusal(422, 'unprocessable', `new: at least ${PASSWORD_MIN} characters`);
    user.password = next;
    api.json(call.response, 200, {});
  }

  function erase(call) {
    const user = userOf(call);
    api.users.delete(user.email.toLowerCase());
    api.sessions.delete(tokenOf(call.request));
    api.json(call.response, 200, {}, { 'Set-Cookie': 'bakame_session=; Max-Age=0; Path=/' });
  }

  function exportAll(call) {
    const user = userOf(call);
    api.json(call.response, 200, { user: shown(user), conversations: [...user.conversations.values()], uploads: [...user.uploads.values()] });
  }

  function listKeys(call) {
    api.json(call.response, 200, { keys: userOf(call).keys.map(({ key, ...rest }) => rest) });
  }

  function makeKey(call) {
    const user = userOf(call);
    const { name } = bodyOf(call);
    if (!name) throw new Refusal(422, 'unprocessable', 'name: must not be empty');
    const key = `bk_${randomBytes(24).toString('base64url')}`;
    const made = { id: randomUUID(), name, prefix: key.slice(0, 8), created_at: new Date().toISOString(), last_used_at: null, key };
    user.keys.push(made);
    api.json(call.response, 201, made);
  }

  function revokeKey(call, id) {
    const user = userOf(call);
    if (!user.keys.some((key) => key.id === id)) throw notFound();
    user.keys = user.keys.filter((key) => key.id !== id);
    call.response.writeHead(204).end();
  }

  /* --- conversations ----------------------------------------------------------------------- */

  const listed = ({ id, title, pinned, created_at, updated_at }) => ({ id, title, pinned, created_at, updated_at });

  function listConversations(call) {
    const query = (call.query.get('q') ?? '').toLowerCase();
    const all = [...userOf(call).conversations.values()]
      .filter((one) => query === '' || one.title.toLowerCase().includes(query) || one.messages.some(({ content }) => content.toLowerCase().includes(query)))
      .sort((a, b) => b.pinned - a.pinned || b.updated_at.localeCompare(a.updated_at));
    const { page, next_cursor } = pageOf(all, call.query);
    api.json(call.response, 200, { conversations: page.map(listed), next_cursor });
  }

  function conversationOf(call, id) {
    const conversation = userOf(call).conversations.get(id);
    if (!conversation) throw notFound();
    return conversation;
  }

  function readConversation(call, id) {
    const user = userOf(call);
    const conversation = conversationOf(call, id);
    const messages = conversation.messages.map((message) => ({
      ...message, attachments: message.attachments.map((file) => user.uploads.get(file)).filter(Boolean),
    }));
    api.json(call.response, 200, { ...conversation, messages });
  }

  function changeConversation(call, id) {
    const conversation = conversationOf(call, id);
    const { title, pinned } = bodyOf(call);
    if (title !== undefined) conversation.title = title;
    if (pinned !== undefined) conversation.pinned = pinned;
    api.json(call.response, 200, listed(conversation));
  }

  function deleteConversation(call, id) {
    conversationOf(call, id);
    userOf(call).conversations.delete(id);
    call.response.writeHead(204).end();
  }

  /* --- uploads ----------------------------------------------------------------------------- */

  function upload(call) {
    const user = userOf(call);
    const part = /name="file"; filename="([^"]*)"\r\n(?:Content-Type: .*\r\n)?\r\n/.exec(call.raw.toString('latin1'));
    const content = call.raw.subarray(part.index + part[0].length);
    const type = UPLOAD_TYPES.find(([magic]) => content.toString('latin1', 0, 4).startsWith(magic))?.[1]
      ?? (content.subarray(0, 200).includes(0) ? null : 'text/plain');
    if (type === null) throw new Refusal(415, 'unsupported_media_type', 'Files of this type are not taken.');
    const name = Buffer.from(part[1], 'latin1').toString();
    const file = { id: randomUUID(), name, type, size: content.length, sha256: '0'.repeat(64), text_chars: 0, created_at: new Date().toISOString() };
    user.uploads.set(file.id, file);
    api.json(call.response, 201, { files: [file] });
  }

  function deleteUpload(call, id) {
    if (!userOf(call).uploads.delete(id)) throw notFound();
    call.response.writeHead(204).end();
  }

  /* --- chat -------------------------------------------------------------------------------- */

  const chunkOf = (members) => ({
    id: 'chatcmpl-mock', object: 'chat.completion.chunk', created: 1767225600, model: api.model, choices: [], ...members,
  });

  function store(user, body) {
    if (!user) return null;
    let conversation = user.conversations.get(body.conversation_id);
    if (body.conversation_id && !conversation) throw notFound();
    const { content } = body.messages.at(-1);
    if (!conversation) {
      conversation = api.addConversation(user, String(content).slice(0, 60), []);
      body.messages.slice(0, -1).forEach(({ role, content: text }) => append(conversation, role, text));
    }
    const parent = body.parent_id === undefined ? conversation.leaf_id : body.parent_id;
    const question = body.regenerate ? { id: body.parent_id } : append(conversation, 'user', content, { parent_id: parent, attachments: body.attachments ?? [] });
    const answer = append(conversation, 'assistant', '', { parent_id: question.id, tools: [] });
    return { conversation, question, answer };
  }

  function append(conversation, role, content, members = {}) {
    const message = {
      id: randomUUID(), parent_id: conversation.leaf_id ?? null, role, content, status: 'complete', tools: null, attachments: [],
      created_at: new Date().toISOString(), ...members,
    };
    conversation.messages.push(message);
    conversation.leaf_id = message.id;
    conversation.updated_at = message.created_at;
    return message;
  }

  async function chat(call) {
    const user = userOf(call, false);
    const body = bodyOf(call);
    if (!Array.isArray(body.messages) || body.messages.length === 0) throw new Refusal(400, 'invalid_request', 'messages: must be an array');
    const stored = api.keeps ? store(user, body) : null;
    const { response } = call;
    response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8', 'Cache-Control': 'no-cache, no-transform' });
    const send = (value) => response.write(`data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`);
    const ids = stored && api.message_ids ? { user_message_id: stored.question.id, message_id: stored.answer.id } : {};
    const lost = user && !stored ? { conversation_id: body.conversation_id ?? randomUUID(), user_message_id: randomUUID(), message_id: randomUUID(), saved: false } : {};
    send(chunkOf({ bakame: { request_id: randomUUID(), ...(stored && { conversation_id: stored.conversation.id }), ...ids, ...lost } }));
    const whole = await play(api.answers.shift() ?? ['This is an answer.'], { response, send, stored });
    if (!whole) return;
    send(chunkOf({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }));
    send('[DONE]');
    response.end();
  }

  /* False when the stream ended before its end. */
  async function play(steps, { response, send, stored }) {
    for await (const step of steps) {
      if (response.destroyed) return interrupted(stored);
      if (step === CUT) {
        response.destroy();
        return interrupted(stored);
      }
      if (step === HANG) {
        interrupted(stored);
        await new Promise((resolve) => { response.on('close', resolve); });
        return false;
      }
      if (typeof step === 'string') {
        if (stored) stored.answer.content += step;
        send(chunkOf({ choices: [{ index: 0, delta: { content: step }, finish_reason: null }] }));
      } else if (step.tool) {
        if (stored && step.tool.status !== 'running') stored.answer.tools.push(step.tool);
        send(chunkOf({ bakame: { tool: step.tool } }));
      } else if (step.extras) {
        send(chunkOf({ bakame: step.extras }));
      } else if (step.gate) {
        await Promise.race([api.gate(step.gate).promise, new Promise((resolve) => { response.on('close', resolve); })]);
      } else if (step.pause) {
        await sleep(step.pause);
      } else if (step.error) {
        send({ error: { type: 'upstream_error', message: step.error, request_id: randomUUID() } });
        response.end();
        return interrupted(stored);
      }
    }
    return true;
  }

  function interrupted(stored) {
    if (stored) stored.answer.status = 'interrupted';
    return false;
  }

  /* --- administration ---------------------------------------------------------------------- */

  function listUsers(call) {
    adminOf(call);
    const query = (call.query.get('q') ?? '').toLowerCase();
    const all = [...api.users.values()].filter(({ email, name }) => `${email} ${name}`.toLowerCase().includes(query));
    const { page, next_cursor } = pageOf(all, call.query);
    api.json(call.response, 200, { users: page.map((user) => ({ ...shown(user), rate_limit: user.rate_limit, tokens_per_day: user.tokens_per_day })), next_cursor });
  }

  function changeUser(call, id) {
    const admin = adminOf(call);
    const user = [...api.users.values()].find((one) => one.id === id);
    if (!user) throw notFound();
    const changes = bodyOf(call);
    const admins = [...api.users.values()].filter(({ role, disabled }) => role === 'admin' && !disabled);
    if (user.role === 'admin' && admins.length === 1 && (changes.role === 'user' || changes.disabled === true)) {
      throw new Refusal(409, 'conflict', 'This is the last administrator.');
    }
    Object.assign(user, changes);
    audit(call, admin, 'user.change', user.email, changes);
    api.json(call.response, 200, { ...shown(user), rate_limit: user.rate_limit, tokens_per_day: user.tokens_per_day });
  }

  function usage(call) {
    adminOf(call);
    api.json(call.response, 200, { bucket: call.query.get('bucket') ?? 'day', usage: api.usage, users: api.usage_users });
  }

  function services(call) {
    adminOf(call);
    api.json(call.response, 200, { services: [], redis: {}, cache: {}, queue: null, ...api.services });
  }

  function resetService(call, name) {
    audit(call, adminOf(call), 'service.reset', name);
    api.json(call.response, 200, {});
  }

  function listAudit(call) {
    adminOf(call);
    const { page, next_cursor } = pageOf(api.audit, call.query);
    api.json(call.response, 200, { entries: page, next_cursor });
  }

  const table = [
    ['POST', /^\/api\/chat$/, chat],
    ['POST', /^\/api\/auth\/signup$/, signup], ['POST', /^\/api\/auth\/login$/, login], ['POST', /^\/api\/auth\/logout$/, logout],
    ['POST', /^\/api\/auth\/refresh$/, refresh], ['POST', /^\/api\/auth\/password$/, changePassword],
    ['GET', /^\/api\/auth\/me$/, (call) => api.json(call.response, 200, { user: shown(userOf(call)) })],
    ['DELETE', /^\/api\/auth\/me$/, erase], ['GET', /^\/api\/auth\/export$/, exportAll],
    ['GET', /^\/api\/auth\/keys$/, listKeys], ['POST', /^\/api\/auth\/keys$/, makeKey], ['DELETE', /^\/api\/auth\/keys\/([^/]+)$/, revokeKey],
    ['GET', /^\/api\/conversations$/, listConversations], ['GET', /^\/api\/conversations\/([^/]+)$/, readConversation],
    ['PATCH', /^\/api\/conversations\/([^/]+)$/, changeConversation], ['DELETE', /^\/api\/conversations\/([^/]+)$/, deleteConversation],
    ['POST', /^\/api\/upload$/, upload], ['DELETE', /^\/api\/upload\/([^/]+)$/, deleteUpload],
    ['GET', /^\/api\/health$/, (call) => api.json(call.response, 200, api.health)],
    ['GET', /^\/api\/admin\/users$/, listUsers], ['PATCH', /^\/api\/admin\/users\/([^/]+)$/, changeUser],
    ['GET', /^\/api\/admin\/usage$/, usage], ['GET', /^\/api\/admin\/services$/, services],
    ['POST', /^\/api\/admin\/services\/([^/]+)\/reset$/, resetService], ['GET', /^\/api\/admin\/audit$/, listAudit],
  ];

  return async (call) => {
    for (const [method, pattern, handler] of table) {
      const match = pattern.exec(call.pathname);
      if (match && method === call.request.method) {
        await handler(call, ...match.slice(1).map(decodeURIComponent));
        return;
      }
    }
    throw notFound();
  };
}
