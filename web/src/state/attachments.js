/*
 * attachments.js - the files that go with the message that is being typed.  Each is sent at once when chosen.
 */

import { signal } from "@preact/signals";
import { call } from "../lib/api.js";
import { bytes } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { upload } from "../lib/upload.js";
import { notify } from "./notices.js";
import { explain } from "./problem.js";
import { onLeave, user } from "./session.js";

export const ACCEPTED = ".png,.jpg,.jpeg,.webp,.gif,.pdf,.txt,.md,.csv,.json,.docx";
const COUNT_MAX = 10;

/* [{key, name, size, type, file?, status: "sending"|"ready"|"failed", progress, id?, error?, isShared?}]; those that are
   shared belong to a message that was sent before. */
export const attachments = signal([]);
let serial = 0;

/* Those of other conversations, by the names that swapAttachments() was given: they go on being sent. */
const aside = new Map();
let onArrival = () => {};

/* arrived(name, items) is called when something became of a file of those. */
export function watchAside(arrived) {
  onArrival = arrived;
}

function change(key, members) {
  const changed = (items) => items.map((one) => (one.key === key ? { ...one, ...members } : one));
  const [name, items] = [...aside].find(([, all]) => all.some((one) => one.key === key)) ?? [];
  if (!items) {
    attachments.value = changed(attachments.value);
    return;
  }
  aside.set(name, changed(items));
  if (members.status) {
    onArrival(name, aside.get(name));
  }
}

/* What was typed in one place makes way for that of another, whose files are `kept` unless this window knows better. */
export function swapAttachments(from, to, kept) {
  aside.delete(from);
  if (attachments.value.some(({ status }) => status !== "ready")) {
    aside.set(from, attachments.value);
  }
  attachments.value = aside.get(to) ?? kept;
  aside.delete(to);
}

onLeave(() => {
  [...attachments.value, ...[...aside.values()].flat()].forEach(({ stop }) => stop?.());
  attachments.value = [];
  aside.clear();
});

/* A session that is over is renewed, as any call does. */
async function sendInSession(file, options) {
  try {
    return await upload(file, options);
  } catch (error) {
    if (error.status !== 401) {
      throw error;
    }
    await call("GET", "/api/auth/me");
    return upload(file, options);
  }
}

async function sendFile(item, stop) {
  try {
    const stored = await sendInSession(item.file, { signal: stop.signal, onProgress: (progress) => change(item.key, { progress }) });
    change(item.key, { status: "ready", progress: 1, id: stored.id, type: stored.type, size: stored.size });
  } catch (error) {
    if (error.kind !== "stopped") {
      change(item.key, { status: "failed", error: explain(error), canAgain: error.kind === "unreachable" || error.status >= 500 || error.status === 429 });
    }
  }
}

/* Send one again that did not arrive. */
export function attachAgain({ key, file }) {
  const stop = new AbortController();
  change(key, { status: "sending", progress: 0, error: undefined, stop: () => stop.abort() });
  sendFile({ key, file }, stop);
}

export function attach(files) {
  const most = user.value?.upload_max_bytes ?? Infinity;        // a server that does not say will refuse
  for (const file of files) {
    const stop = new AbortController();
    const item = {
      key: ++serial, name: file.name || t("attach.unnamed"), size: file.size, type: file.type, file, status: "sending", progress: 0,
      stop: () => stop.abort(),
    };
    if (attachments.value.length >= COUNT_MAX) {
      notify(t("attach.tooMany", { count: COUNT_MAX }), { kind: "warn" });
      return;
    }
    if (file.size > most) {
      attachments.value = [...attachments.value, { ...item, status: "failed", error: t("attach.tooLarge", { size: bytes(most) }) }];
      continue;
    }
    attachments.value = [...attachments.value, item];
    sendFile(item, stop);
  }
}

/* Take a file away, on the server too if it is of no message. */
export function detach(item) {
  item.stop?.();
  attachments.value = attachments.value.filter(({ key }) => key !== item.key);
  if (item.id && !item.isShared) {
    call("DELETE", `/api/upload/${encodeURIComponent(item.id)}`).catch(() => {});   // the server's own clean-up finds it
  }
}

export const isSending = () => attachments.value.some(({ status }) => status === "sending");

/* Those that are there, which now belong to the message that is sent.  What may yet arrive stays. */
export function takeAttachments() {
  const taken = attachments.value.filter(({ status }) => status === "ready");
  attachments.value = attachments.value.filter(({ status, canAgain }) => status === "failed" && canAgain);
  return taken;
}

/* Files of a message as they were before it was sent. */
const untaken = (files) => files.map((file) => ({ ...file, key: `back-${++serial}`, status: "ready", progress: 1 }));

export function putBack(files) {
  attachments.value = [...untaken(files), ...attachments.value];
}

/* The same where `kept` are, by the name that swapAttachments() is given; all that are there now. */
export function putBackAt(name, files, kept) {
  const all = [...untaken(files), ...(aside.get(name) ?? kept)];
  if (aside.has(name)) {
    aside.set(name, all);
  }
  return all;
}
