/*
 * draft.js - what is being typed, kept for each conversation until it is sent.
 */

import { signal } from "@preact/signals";
import { lasting } from "../lib/storage.js";
import { attachments, putBack } from "./attachments.js";

export const draft = signal("");
let place = "new";

const nameOf = (conversation) => `draft-${conversation ?? "new"}`;

function save() {
  const files = attachments.value.filter(({ status }) => status === "ready")
    .map(({ key, name, size, type, status, id }) => ({ key: `kept-${key}`, name, size, type, status, id }));
  lasting.set(nameOf(place), draft.value === "" && files.length === 0 ? null : { text: draft.value, files });
}

export function setDraft(text) {
  draft.value = text;
  save();
}

/* Files came or went. */
export const saveFiles = save;

/* Another conversation is shown: its draft comes, that of the one before stays where it was kept. */
export function openDraft(conversation) {
  place = conversation ?? "new";
  const kept = lasting.get(nameOf(place));
  draft.value = kept?.text ?? "";
  attachments.value = kept?.files ?? [];
}

/* The new conversation got its name while something was typed already. */
export function renameDraft(conversation) {
  lasting.set(nameOf(place), null);
  place = conversation;
  save();
}

/* What was sent in vain goes back before what has been typed since. */
export function giveBack(text, files = []) {
  putBack(files);
  setDraft(draft.value === "" ? text : `${text}\n${draft.value}`);
}
