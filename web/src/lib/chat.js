/*
 * chat.js - one turn of a chat with POST /api/chat, and the messages that go with it.
 *
 * Knows the contract and the network, nothing of the page.
 */

import { ApiError, fetchInSession, refusalOf } from "./api.js";
import { createSseReader } from "./sse.js";

/* The server sends a comment every 15 s while the model is silent: three missed mean that the
   connection is gone, even where the network did not say so. */
const SILENCE_MAX_MS = 45_000;

/* The server takes 200 messages and 1 MiB; a long conversation sends its end. */
const MESSAGES_MAX = 199;
const MESSAGES_MAX_BYTES = 900_000;

const LOST = "The connection was lost before the answer was complete.";

/*
 * Why a turn did not end well.  `kind` is one of
 *   "refused"      the server answered with an error before the answer began
 *   "unreachable"  no answer came at all
 *   "failed"       the server reported an error in the middle of the answer
 *   "lost"         the connection ended before the answer did
 *   "stopped"      the person stopped it
 */
export class ChatError extends Error {
  constructor(kind, message, { status = 0, type = "", retryAfterSecs = 0 } = {}) {
    super(message);
    this.name = "ChatError";
    Object.assign(this, { kind, status, type, retryAfterSecs });
  }
}

/* The end of a conversation that fits into one request; always begins with a user's message. */
export function messagesToSend(messages, maxBytes = MESSAGES_MAX_BYTES) {
  const encoder = new TextEncoder();
  let start = messages.length;
  let bytes = 0;
  for (let i = messages.length - 1; i >= 0 && messages.length - i <= MESSAGES_MAX; i--) {
    bytes += encoder.encode(JSON.stringify(messages[i])).length + 1;
    if (bytes > maxBytes && start < messages.length) {
      break;
    }
    if (messages[i].role === "user") {
      start = i;
    }
  }
  return messages.slice(start);
}

/*
 * Ask for an answer to `question`, the body of POST /api/chat.  Calls of `on`, each optional:
 *   on.text(text)            more of the answer
 *   on.tool(tool)            a tool started, ended or failed: {id, name, arguments, status, ms, cached, result, error}
 *   on.model(name)           the model that answers, once
 *   on.extras(extras)        what else the server says of this answer: {conversation_id, request_id, ...}
 * Resolves to {finishReason} when the answer is complete; rejects with a ChatError otherwise.
 */
export async function askModel(question, { signal, on = {}, fetch = globalThis.fetch, silenceMaxMs = SILENCE_MAX_MS } = {}) {
  const abort = new AbortController();
  const stop = () => abort.abort();
  signal?.addEventListener("abort", stop);
  let begun = false;
  try {
    if (signal?.aborted) {
      stop();
    }
    const response = await fetchInSession("/api/chat", {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
      body: JSON.stringify(question),
      credentials: "same-origin",
      signal: abort.signal,
    }, fetch);
    if (!response.ok) {
      throw await refusalOf(response);
    }
    begun = true;
    return await readAnswer(response.body, on, createWatchdog(silenceMaxMs, stop));
  } catch (error) {
    stop();     // also when what came could not be read
    if (signal?.aborted) {
      throw new ChatError("stopped", "Stopped.");
    }
    if (error instanceof ApiError) {
      throw new ChatError("refused", error.message, error);
    }
    if (error instanceof ChatError) {
      throw error;
    }
    throw begun
      ? new ChatError("lost", LOST)
      : new ChatError("unreachable", "The server cannot be reached. Check your connection and send again.");
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

async function readAnswer(body, on, watchdog) {
  const answer = { done: false, finishReason: null, model: null };
  const reader = createSseReader((data) => takeEvent(data, answer, on));
  const stream = body.getReader();
  try {
    for (let part = await stream.read(); !part.done; part = await stream.read()) {
      watchdog.restart();
      reader.feed(part.value);
    }
  } catch (error) {
    if (!answer.done) {
      throw error;
    }
  } finally {
    watchdog.cancel();
  }
  // A worker that died looks like a normal end: only [DONE] proves that the answer is whole.
  if (!answer.done) {
    throw new ChatError("lost", LOST);
  }
  return { finishReason: answer.finishReason };
}

function takeEvent(data, answer, on) {
  if (data === "[DONE]") {
    answer.done = true;
    return;
  }
  const chunk = parseChunk(data);
  if (chunk.error) {
    throw new ChatError("failed", chunk.error.message || "The model failed in the middle of its answer.", { type: chunk.error.type });
  }
  if (chunk.model && answer.model === null) {
    answer.model = chunk.model;
    on.model?.(chunk.model);
  }
  if (chunk.bakame) {
    const { tool, ...extras } = chunk.bakame;
    if (tool) {
      on.tool?.(tool);
    }
    on.extras?.(extras);
  }
  const choice = chunk.choices?.[0];
  if (choice?.delta?.content) {
    on.text?.(choice.delta.content);
  }
  if (choice?.finish_reason) {
    answer.finishReason = choice.finish_reason;
  }
}

function parseChunk(data) {
  try {
    return JSON.parse(data);
  } catch {
    throw new ChatError("failed", "The server sent something that this page cannot read.");
  }
}

/* A timer that is late by more than this was not running: the tab slept. */
const SLEPT_MS = 5000;

/* What came while the tab slept is read after its timers ran: so a sleep is no silence. */
function createWatchdog(ms, onSilence) {
  let timer = 0;
  function start() {
    const dueAt = Date.now() + ms;
    timer = setTimeout(() => (Date.now() - dueAt > SLEPT_MS ? start() : onSilence()), ms);
  }
  start();
  return {
    restart() {
      clearTimeout(timer);
      start();
    },
    cancel() {
      clearTimeout(timer);
    },
  };
}
