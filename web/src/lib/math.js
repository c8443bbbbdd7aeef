/*
 * math.js - TeX within Markdown, for marked: $x$, \(x\) in a line; $$x$$, \[x\] by itself.
 *
 * A dollar is money unless a formula hugs it on both sides, as in Pandoc: no space inside, no digit after.
 */

const INLINE = /^(?:\$(?!\s)((?:\\[^\n]|[^$\\\n])*?[^\s\\$])\$(?!\d)|\\\(([^\n]+?)\\\))/;
const DISPLAY_INLINE = /^(?:\$\$((?:\\.|[^$\\])+?)\$\$|\\\[([^]+?)\\\])/;
const BLOCK = /^ {0,3}(?:\$\$([^]+?)\$\$|\\\[([^]+?)\\\])[ \t]*(?:\n|$)/;
const BLOCK_START = /(?<=^|\n) {0,3}(?:\$\$|\\\[)/;
const ESCAPED = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export const escapeHtml = (text) => text.replaceAll(/[&<>"']/g, (character) => ESCAPED[character]);

function starter(...marks) {
  return (source) => {
    const found = marks.map((mark) => source.indexOf(mark)).filter((at) => at >= 0);
    return found.length > 0 ? Math.min(...found) : undefined;
  };
}

function token(type, match) {
  const tex = match[1] ?? match[2];
  return { type, raw: match[0], text: tex.trim() };
}

/* What is drawn once KaTeX is there; until then the formula is read as it was written. */
const placeholder = (tex, display) =>
  `<span class="${display ? "math math-display" : "math"}">${escapeHtml(tex)}</span>`;

export const mathSyntax = [
  {
    name: "mathBlock",
    level: "block",
    start: (source) => BLOCK_START.exec(source)?.index,
    tokenizer(source) {
      const match = BLOCK.exec(source);
      return match ? token("mathBlock", match) : undefined;
    },
    renderer: ({ text }) => `<p>${placeholder(text, true)}</p>\n`,
  },
  {
    name: "mathInline",
    level: "inline",
    start: starter("$", "\\(", "\\["),
    tokenizer(source) {
      const display = DISPLAY_INLINE.exec(source);
      if (display) {
        return { ...token("mathInline", display), display: true };
      }
      const match = INLINE.exec(source);
      return match ? token("mathInline", match) : undefined;
    },
    renderer: ({ text, display }) => placeholder(text, display === true),
  },
];
