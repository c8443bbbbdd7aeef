/* save.js - a conversation becomes a file of the person's. */

import { asJson, asMarkdown, fileNameOf, saveFile } from "../lib/export.js";
import { moment } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { readMessages } from "../state/thread.js";

/* `kind` is "md" or "json"; without an id it is the conversation that is shown.  Rejects with an ApiError. */
export async function saveConversation(id, title, kind) {
  const messages = await readMessages(id);
  if (kind === "json") {
    saveFile(fileNameOf(title, kind), "application/json", asJson({ id, title, messages }));
    return;
  }
  const dated = messages.map((message) => ({ ...message, date: moment(new Date(message.date)) }));
  const names = { user: t("speaker.user"), assistant: t("speaker.assistant") };
  saveFile(fileNameOf(title, kind), "text/markdown", asMarkdown({ title, messages: dated }, names));
}
