/*
 * attachments.js - the files that go with the message that is being typed.  Each is sent at once when chosen.
 */

import { signal } from "@preact/signals";
import { call } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { upload } from "../lib/upload.js";
import { notify } from "./notices.js";
import { explain } from "./problem.js";

export const ACCEPTED = ".png,.jpg,.jpeg,.webp,.gif,.pdf,.txt,.md,.csv,.json,.docx";
const SIZE_MAX_BYTES = 20 * 1024 * 1024;
const COUNT_MAX = 10;

/* [{key, name, size, type, file?, status: "sending"|"ready"|"failed", progress, id?, error?}] */
export const attachments = signal([]);
let serial = 0;

function change(key, members) {
  attachments.value = attachments.value.map((one) => (one.key === key ? { ...one, ...members } : one));
}

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
    if (file.size > SIZE_MAX_BYTES) {
      attachments.value = [...attachments.value, { ...item, status: "failed", error: t("attach.tooLarge") }];
      continue;
    }
    attachments.value = [...attachments.value, item];
    sendFile(item, stop);
  }
}

/* Take a file away, on the server too. */
export function detach(item) {
  item.stop?.();
  attachments.value = attachments.value.filter(({ key }) => key !== item.key);
  if (item.id) {
    call("DELETE", `/api/upload/${encodeURIComponent(item.id)}`).catch(() => {});   // the server's own clean-up finds it
  }
}

export const isSending = () => attachments.value.some(({ status }) => status === "sending");

/* Those that are there, which now belong to the message that is sent. */
export function takeAttachments() {
  const taken = attachments.value.filter(({ status }) => status === "ready");
  attachments.value = [];
  return taken;
}

export function putBack(items) {
  attachments.value = [...items, ...attachments.value];
}
