/*
 * announce.js - what is read aloud by screen readers, politely: whole sentences of an answer, not each word.
 */

import { signal } from "@preact/signals";

const PAUSE_MS = 3000;
const SENTENCES = /^[^]*[.!?:…\n](?=\s|$)/;
const MARKS = /[*_`#>|]+/g;

export const announcement = signal("");

export function announce(text) {
  announcement.value = text;
}

/* Tells of an answer as it grows: told(text) with all of it so far, end(last words). */
export function createTeller() {
  let told = 0;
  let nextAt = 0;
  return {
    told(text) {
      const now = Date.now();
      if (now < nextAt) {
        return;
      }
      const sentences = SENTENCES.exec(text.slice(told))?.[0];
      if (sentences) {
        told += sentences.length;
        nextAt = now + PAUSE_MS;
        announce(sentences.replaceAll(MARKS, " "));
      }
    },
    end(text, words) {
      announce(`${text.slice(told).replaceAll(MARKS, " ")} ${words}`.trim());
    },
  };
}
