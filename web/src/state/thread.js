/*
 * thread.js - the conversation that is shown, and the turns in it.
 *
 * A guest's lives in this window only.  That of who is signed in is kept by the server and has an id; an
 * answer that is being written goes on when another conversation is looked at.
 */

import { signal } from "@preact/signals";
import { call, withQuery } from "../lib/api.js";
import { askModel, ChatError, messagesToSend } from "../lib/chat.js";
import { t } from "../lib/i18n.js";
import { go, here, rename, route } from "../lib/router.js";
import { passing } from "../lib/storage.js";
import { addNode, chooseVersion, createTree, pathOf, removeNode } from "../lib/tree.js";
import { createTeller } from "./announce.js";
import { refreshList, titleOf, touch } from "./conversations.js";
import { giveBack, giveBackAt, openDraft, renameDraft } from "./draft.js";
import { notify } from "./notices.js";
import { clearProblem, explain, showProblem } from "./problem.js";
import { loadUser, onLeave, user } from "./session.js";

const DEMO_MODEL = "bakame-demo";
const TITLE_MAX_CHARS = 60;
const TITLE_COMES_AFTER_MS = 4000;
const PAGES_MAX = 10;
const KEPT_MAX_CHARS = 1_500_000;

let serial = 0;

function createThread(id = null) {
  return { id, tree: createTree(), version: signal(0), turn: signal(null), loading: signal(false), failure: signal(null), isUnnamed: false, isUnopened: false };
}

export const thread = signal(createThread());
export const isDemo = signal(false);

const writing = new Map();      // threads with a turn that runs, by id
const turns = new Set();        // all that run, by what stops them

const changed = (which) => { which.version.value++; };

/* --- messages -------------------------------------------------------------------------------- */

function addMessage(which, parent, role, members = {}) {
  const node = {
    key: ++serial, id: null, parent, role, text: "", tools: [], attachments: [], date: new Date(), ...members,
    status: signal(members.status ?? "done"), note: signal(members.note ?? null),
    grown: signal(0), used: signal(0),          // counts: changes of the text, of the tools
    isLate: signal(false),                      // the server says that the model has not begun
  };
  addNode(which.tree, node);
  changed(which);
  return node;
}

/* Content as OpenAI has it: a text, or an array of parts. */
function textOf(content) {
  if (typeof content === "string") {
    return content;
  }
  return Array.isArray(content) ? content.map((part) => part.text ?? "").filter(Boolean).join("\n") : "";
}

function fillFrom(which, messages, leaf) {
  const keys = new Map();
  let last = null;
  for (const message of messages.filter(({ role }) => role === "user" || role === "assistant")) {
    const parent = message.parent_id === undefined ? last : keys.get(message.parent_id) ?? null;
    const node = addMessage(which, parent, message.role, {
      id: message.id ?? null, text: textOf(message.content), tools: message.tools ?? [],
      attachments: (message.attachments ?? []).map((file) => (typeof file === "string" ? { id: file, name: file } : file)),
      date: new Date(message.created_at ?? Date.now()), note: message.status === "interrupted" ? { kind: "interrupted" } : null,
    });
    last = node.key;
    keys.set(message.id, node.key);
  }
  for (let node = which.tree.nodes.get(keys.get(leaf)); node; node = which.tree.nodes.get(node.parent)) {
    which.tree.chosen.set(node.parent, node.key);
  }
  changed(which);
}

export const shownMessages = (which = thread.value) => (which.version.value, pathOf(which.tree));

export function turnTo(node, step) {
  chooseVersion(thread.value.tree, node, step);
  changed(thread.value);
}

/* --- a guest's conversation outlives a reload, but not the window --------------------------- */

function keep(which) {
  if (which.id !== null || user.value || which !== thread.value) {
    return;
  }
  const messages = [...which.tree.nodes.values()].map(({ key, parent, role, text, tools, note, status }) =>
    ({ id: key, parent_id: parent, role, content: text, tools, status: note.value || status.value === "writing" ? "interrupted" : "done" }));
  const kept = JSON.stringify(messages).length <= KEPT_MAX_CHARS ? { messages, leaf: pathOf(which.tree).at(-1)?.key } : null;
  passing.set("guest", messages.length > 0 ? kept : null);
}

function reviveGuest(which) {
  const kept = passing.get("guest");
  if (kept) {
    fillFrom(which, kept.messages, kept.leaf);
    for (const node of which.tree.nodes.values()) {
      node.id = null;
    }
  }
}

/* --- which conversation ---------------------------------------------------------------------- */

function show(which) {
  thread.value = which;
  clearProblem();
  openDraft(which.id);
}

export function startNew() {
  const { id, turn } = thread.value;
  if (id === null) {
    turn.value?.abort();
    passing.set("guest", null);
  }
  show(createThread());
}

/* The newest messages come first; those before them page by page. */
async function fetchInto(which, id) {
  const path = `/api/conversations/${encodeURIComponent(id)}`;
  const conversation = await call("GET", path);
  const messages = conversation.messages;
  for (let pages = 1, cursor = conversation.next_cursor; cursor && pages < PAGES_MAX; pages++) {
    const older = await call("GET", withQuery(path, { cursor }));
    messages.unshift(...older.messages);
    cursor = older.next_cursor;
  }
  which.title = conversation.title;
  fillFrom(which, messages, conversation.leaf_id);
}

export async function open(id) {
  if (thread.value.id === id && !thread.value.isUnopened) {
    return;
  }
  if (writing.has(id)) {
    show(writing.get(id));
    return;
  }
  const opened = createThread(id);
  opened.loading.value = true;
  show(opened);
  try {
    await fetchInto(opened, id);
  } catch (error) {
    opened.failure.value = error;
  }
  opened.loading.value = false;
}

/* The messages of a conversation, as an export has them: of the one that is shown, or of another by its id. */
export async function readMessages(id) {
  let which = thread.value;
  if (id && id !== which.id) {
    which = createThread(id);
    await fetchInto(which, id);
  }
  return pathOf(which.tree).map(({ role, text, date, tools, attachments }) => ({
    role, text, date: date.toISOString(), tools, attachments: attachments.map((file) => ({ id: file.id, name: file.name, type: file.type, size: file.size })),
  }));
}

/* A new chat got its id.  Who looks at another page meanwhile is not taken away from there. */
function showAddress() {
  const isShown = ["", "c"].includes(here().name);
  thread.value.isUnnamed = !isShown;
  if (isShown) {
    rename("c", thread.value.id);
  }
}

/* What the address says, at the start and whenever it changes. */
export function followRoute() {
  const { name, part } = route.value;
  if (name === "c" && part !== "") {
    open(part);
  } else if (name === "" && thread.value.isUnnamed) {
    showAddress();
  } else if (name === "" && thread.value.id !== null) {
    show(createThread());
  }
}

/* Before it is known who asks: what the address names is opened then. */
export function startThread() {
  const { name, part } = route.value;
  const isNamed = name === "c" && part !== "";
  const first = createThread(isNamed ? part : null);
  first.isUnopened = isNamed;
  first.loading.value = isNamed;
  if (!isNamed) {
    reviveGuest(first);
  }
  show(first);
  document.addEventListener("visibilitychange", () => keep(thread.value));      // it may not be shown again
}

onLeave(() => {
  turns.forEach((turn) => turn.abort());
  show(createThread());
  if (here().name === "c") {
    go();
  }
});

/* --- a turn ---------------------------------------------------------------------------------- */

function bodyOf(which, question, again) {
  const { tree, id } = which;
  const files = question.attachments.map((file) => file.id);
  const extras = files.length > 0 ? { attachments: files } : {};
  const parent = tree.nodes.get(question.parent);
  const path = pathOf(tree, question);
  const isStored = id !== null && (again ? path : path.slice(0, -1)).every((node) => node.id !== null);
  if (isStored) {
    const place = again ? { parent_id: question.id, regenerate: true } : { parent_id: parent?.id ?? null };
    return { conversation_id: id, messages: [{ role: "user", content: question.text }], ...place, ...extras };
  }
  // Nothing that the server could go on from: all that was said goes along.
  return { messages: messagesToSend(path.map(({ role, text }) => ({ role, content: text }))), ...extras };
}

/* The server has not got them, be it both or the answer alone: they can only go along with what comes next. */
function takeLoss(question, answer, extras) {
  answer.note.value = { kind: "unsaved" };
  answer.id = null;
  if (extras.message_id) {
    question.id = null;
  }
}

/* An answer whose connection broke is not there yet where the server has not noticed, and goes on with it: then what came
   of it goes along.  null where that cannot be why there is nothing to go on from. */
function bodyWithParent({ tree }, question, body) {
  const parent = tree.nodes.get(question.parent);
  if (body.regenerate || !body.conversation_id || parent?.role !== "assistant" || !parent.note.value || parent.text === "") {
    return null;
  }
  const messages = [{ role: "assistant", content: parent.text }, ...body.messages];
  return { ...body, messages, parent_id: tree.nodes.get(parent.parent)?.id ?? null };
}

async function askFrom(which, question, body, options) {
  try {
    return await askModel(body, options);
  } catch (error) {
    const other = error.status === 404 ? bodyWithParent(which, question, body) : null;
    if (!other) {
      throw error;
    }
    return askModel(other, options);
  }
}

function takeExtras(which, question, answer, extras) {
  if (extras.saved === false) {
    takeLoss(question, answer, extras);
    return;
  }
  question.id = extras.user_message_id ?? question.id;
  answer.id = extras.message_id ?? answer.id;
  if (extras.waiting === "model") {
    answer.isLate.value = true;
  }
  const id = extras.conversation_id;
  if (id && id !== which.id) {
    writing.delete(which.id);
    which.id = id;
    writing.set(id, which);
    passing.set("guest", null);         // it is the server's now
    touch(id, question.text.slice(0, TITLE_MAX_CHARS));
    if (thread.value === which) {
      renameDraft(id);
      showAddress();
    }
    if (!user.value) {
      loadUser();               // the server knows us
    }
  }
}

function showTool(answer, tool) {
  const known = answer.tools.find(({ id }) => id === tool.id);
  answer.tools = known
    ? answer.tools.map((one) => (one === known ? { ...known, ...tool } : one))
    : [...answer.tools, tool];
  answer.isLate.value = false;
  answer.used.value++;
}

/* Ask for an answer to `question`.  `vain` is called when none came at all. */
async function answerTo(which, question, { again = false, vain }) {
  clearProblem();
  const body = bodyOf(which, question, again);
  const mine = new AbortController();
  const answer = addMessage(which, question.key, "assistant", { status: "writing" });
  const teller = createTeller();
  which.turn.value = mine;
  turns.add(mine);
  if (which.id !== null) {
    writing.set(which.id, which);
  }
  keep(which);
  try {
    const { finishReason } = await askFrom(which, question, body, {
      signal: mine.signal,
      on: {
        text: (more) => {
          answer.text += more.replaceAll("\r", "");
          answer.grown.value++;
          if (which === thread.value) {
            teller.told(answer.text);
          }
        },
        tool: (tool) => showTool(answer, tool),
        model: (name) => { isDemo.value = name === DEMO_MODEL; },
        extras: (extras) => takeExtras(which, question, answer, extras),
      },
    });
    endWell(answer, finishReason);
  } catch (error) {
    endBadly(which, answer, error, vain);
  }
  answer.status.value = "done";
  if (which === thread.value) {
    teller.end(answer.text, answer.note.value ? "" : t("answer.complete"));
  }
  which.turn.value = null;
  turns.delete(mine);
  writing.delete(which.id);
  changed(which);
  keep(which);
  afterTurn(which, question);
}

function endWell(answer, finishReason) {
  if (finishReason === "length") {
    answer.note.value = { kind: "length" };
  } else if (answer.text === "") {
    answer.note.value = { kind: "empty" };
  }
}

/* Keep what came of the answer; when nothing came, what was asked goes back to where it was typed. */
function endBadly(which, answer, error, vain) {
  if (!(error instanceof ChatError)) {
    globalThis.reportError?.(error);
  }
  if (answer.text !== "") {
    answer.note.value = { kind: error.kind ?? "failed", text: error.kind === "stopped" ? "" : explain(error) };
    return;
  }
  removeNode(which.tree, answer);
  vain(error);
}

function afterTurn(which, question) {
  if (which.id === null || !user.value) {
    return;
  }
  touch(which.id, question.text.slice(0, TITLE_MAX_CHARS));
  setTimeout(refreshList, TITLE_COMES_AFTER_MS);
}

/* Who looks at something else finds it where it was typed. */
function tellVainElsewhere(which, error, text, files) {
  if (error.kind === "stopped") {
    return;
  }
  if (text !== null) {
    giveBackAt(which.id, text, files);
  }
  notify(`${titleOf(which.id) || which.title || t("newChat")}: ${explain(error)}`, { kind: "warn" });
}

function tellVain(which, error, text, files) {
  if (thread.value !== which) {
    tellVainElsewhere(which, error, text, files);
    return;
  }
  if (text !== null) {
    giveBack(text, files);
  }
  showProblem(error.kind === "stopped" ? t("problem.stoppedEarly") : explain(error), error.retryAfterSecs);
}

function ask(parent, text, files) {
  const which = thread.value;
  const question = addMessage(which, parent, "user", { text, attachments: files });
  const before = which.tree.children.get(parent).at(-2);
  return answerTo(which, question, {
    vain: (error) => {
      removeNode(which.tree, question);
      if (before !== undefined) {
        which.tree.chosen.set(parent, before);
      }
      tellVain(which, error, text, files);
    },
  });
}

export const isBusy = () => thread.value.turn.value !== null;
export const stop = () => thread.value.turn.value?.abort();

export const send = (text, files) => ask(pathOf(thread.value.tree).at(-1)?.key ?? null, text, files);
/* The same question in other words, as a version of its own. */
export const resend = (question, text) => ask(question.parent, text, question.attachments.map((file) => ({ ...file, isShared: true })));

export function regenerate(answer) {
  const which = thread.value;
  const question = which.tree.nodes.get(answer.parent);
  return answerTo(which, question, { again: true, vain: (error) => tellVain(which, error, null) });
}

/* After an answer that broke off. */
export const goOn = () => send(t("continue.prompt"), []);
