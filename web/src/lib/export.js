/*
 * export.js - a conversation as a file, made in the browser.
 */

const FENCE = /^ {0,3}(`{3,})/gm;

/* A fence that is longer than all within the text. */
function fenced(text, info = "") {
  const longest = [...text.matchAll(FENCE)].reduce((length, match) => Math.max(length, match[1].length), 2);
  const fence = "`".repeat(longest + 1);
  return `${fence}${info}\n${text}\n${fence}`;
}

function toolsAsMarkdown(tools) {
  return tools.map((tool) => `${fenced(JSON.stringify({ [tool.name]: tool.arguments ?? {}, status: tool.status, result: tool.result }, null, 2), "json")}\n\n`);
}

/* `messages`: [{role, text, date?, tools?, attachments?}]; `names` says how each role is called. */
export function asMarkdown({ title, messages }, names) {
  const parts = messages.map(({ role, text, date, tools = [], attachments = [] }) => {
    const heading = `## ${names[role]}${date ? `, ${date}` : ""}\n\n`;
    const files = attachments.map(({ name }) => `- 📎 ${name}\n`).join("");
    return heading + toolsAsMarkdown(tools).join("") + (files && `${files}\n`) + text.trim();
  });
  return `# ${title}\n\n${parts.join("\n\n")}\n`;
}

export const asJson = (conversation) => `${JSON.stringify(conversation, null, 2)}\n`;

/* A name that every system takes. */
export function fileNameOf(title, extension) {
  const plain = title.normalize("NFC").replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-+|-+$/g, "").slice(0, 60);
  return `${plain || "bakame"}.${extension}`;
}

export function saveFile(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
