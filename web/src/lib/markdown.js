/*
 * markdown.js - Markdown to HTML that is safe to show.
 *
 * HTML in it is shown as it was written, not obeyed.  Pictures of other places are links: what a page loads
 * by itself tells somebody that it was read.  What is made goes through DOMPurify in any case (sanitize.js).
 */

import { Marked } from "marked";
import { escapeHtml, mathSyntax } from "./math.js";

/* The page has headings of its own above those of an answer. */
const HEADING_SHIFT = 2;
const HEADING_MAX = 6;
const OWN_PICTURE = /^\/api\/upload\/[\w-]+$/;
const LINE_BREAK = /^<br\s*\/?>$/i;

const asWritten = (text) => `<p class="raw">${escapeHtml(text.trimEnd())}</p>\n`;

const marked = new Marked({
  gfm: true,
  renderer: {
    html({ text, block }) {
      if (block) {
        return asWritten(text);
      }
      return LINE_BREAK.test(text.trim()) ? "<br>" : escapeHtml(text);
    },
    heading({ tokens, depth }) {
      const level = Math.min(depth + HEADING_SHIFT, HEADING_MAX);
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>\n`;
    },
    image({ href, text, title }) {
      if (OWN_PICTURE.test(href)) {
        return `<img src="${href}" alt="${escapeHtml(text)}" loading="lazy">`;
      }
      return `<a href="${escapeHtml(href)}" title="${escapeHtml(title ?? "")}">🖼 ${escapeHtml(text || href)}</a>`;
    },
    checkbox({ checked }) {
      return checked ? "☑ " : "☐ ";
    },
  },
});

marked.use({ extensions: mathSyntax });

/* Thousands of quotations within each other exhaust the stack of what reads them: they are shown as they were written. */
function unlessTooDeep(attempt, otherwise) {
  try {
    return attempt();
  } catch {
    return otherwise();
  }
}

/* marked's tokens of a text without CR; what each was made of (`raw`), joined, is the text. */
export const lex = (text) => unlessTooDeep(() => marked.lexer(text), () => [{ type: "html", block: true, raw: text, text }]);

export const htmlOf = (token) => unlessTooDeep(() => marked.parser([token]), () => asWritten(token.raw));

/* The inside of an item of a list: as marked writes it, without the <li> around. */
export function itemHtml(item) {
  return unlessTooDeep(() => marked.parser([{ type: "list", ordered: false, start: "", loose: item.loose, items: [item], raw: item.raw }])
    .trim().replace(/^<ul>\s*<li>/, "").replace(/<\/li>\s*<\/ul>$/, "").trimEnd(), () => asWritten(item.raw));
}
