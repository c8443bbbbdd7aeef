/*
 * draft.js - what is being typed, kept for each conversation until it is sent.
 */

import { signal } from "@preact/signals";
import { lasting } from "../lib/storage.js";
import { attachments, putBack, putBackAt, swapAttachments, watchAside } from "./attachments.js";

export const draft = signal("");
let place = "new";

const nameOf = (conversation) => `draft-${conversation ?? "new"}`;

function saveAt(where, text, items) {
  const files = items.filter(({ status }) => status === "ready")
    .map(({ key, name, size, type, status, id, isShared }) => ({ key: `kept-${key}`, name, size, type, status, id, isShared }));
  lasting.set(nameOf(where), text === "" && files.length === 0 ? null : { text, files });
}

const save = () => saveAt(place, draft.value, attachments.value);

watchAside((where, items) => saveAt(where, lasting.get(nameOf(where))?.text ?? "", items));

export function setDraft(text) {
  draft.value = text;
  save();
}

/* Files came or went. */
export const saveFiles = save;

/* Another conversation is shown: its draft comes, that of the one before stays where it was kept. */
export function openDraft(conversation) {
  const before = place;
  place = conversation ?? "new";
  const kept = lasting.get(nameOf(place));
  draft.value = kept?.text ?? "";
  swapAttachments(before, place, kept?.files ?? []);
}

/* The new conversation got its name while something was typed already. */
export function renameDraft(conversation) {
  lasting.set(nameOf(place), null);
  place = conversation;
  save();
}

const joined = (text, since) => (since === "" ? text : `${text}\n${since}`);

/* What was sent in vain goes back before what has been typed since. */
export function giveBack(text, files = []) {
  putBack(files);
  setDraft(joined(text, draft.value));
}

/* The same where something else may be typed now. */
export function giveBackAt(conversation, text, files = []) {
  const where = conversation ?? "new";
  if (where === place) {
    giveBack(text, files);
    return;
  }
  const kept = lasting.get(nameOf(where));
  saveAt(where, joined(text, kept?.text ?? ""), putBackAt(where, files, kept?.files ?? []));
}
