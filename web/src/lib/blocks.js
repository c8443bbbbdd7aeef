/*
 * blocks.js - a text that grows, cut into Markdown's blocks.
 *
 * Only the last block can still change when more text comes: those before it are told once, as done, and
 * never read again, so that the work goes with what is new and not with all there is.
 */

import { lex } from "./markdown.js";

/* What may yet become the next item of the list before it. */
const MAYBE_ITEM = /^ {0,3}(?:\d{1,9}[.)]?|[-*+])?$/;

/* How many of the tokens are done. */
function countDone(tokens) {
  let last = tokens.length - 1;
  while (last > 0 && tokens[last].type === "space") {
    last--;
  }
  let before = last - 1;
  while (before >= 0 && tokens[before].type === "space") {
    before--;
  }
  const open = tokens[last]?.type === "paragraph" && tokens[before]?.type === "list" && MAYBE_ITEM.test(tokens[last].raw.trimEnd());
  return open ? Math.max(before, 0) : Math.max(last, 0);
}

export function createSplitter() {
  let offset = 0;
  return {
    /* `text` is what the last one was, and more.  Gives {done, open}: tokens that are done now, and those
       that may change. */
    split(text) {
      const tokens = lex(text.slice(offset));
      const count = countDone(tokens);
      const done = tokens.slice(0, count);
      offset += done.reduce((length, token) => length + token.raw.length, 0);
      return { done, open: tokens.slice(count) };
    },
    /* Where the block begins that may change. */
    get offset() {
      return offset;
    },
  };
}
