/*
 * problem.js - what stands above the box when a message could not be sent, with the seconds until it can be.
 */

import { signal } from "@preact/signals";
import { isKnown, language, t } from "../lib/i18n.js";

/* {text, readyAt} or null.  Until `readyAt` (a time in ms; 0: at once) nothing can be sent. */
export const problem = signal(null);
export const secondsLeft = signal(0);

let timer = 0;

export function clearProblem() {
  clearInterval(timer);
  secondsLeft.value = 0;
  problem.value = null;
}

export function showProblem(text, waitSecs = 0) {
  clearProblem();
  problem.value = { text };
  if (waitSecs > 0) {
    const readyAt = Date.now() + waitSecs * 1000;
    const tick = () => {
      secondsLeft.value = Math.max(0, Math.ceil((readyAt - Date.now()) / 1000));
      if (secondsLeft.value === 0) {
        showProblem(t("problem.sendAgain"));
      }
    };
    timer = setInterval(tick, 250);
    tick();
  }
}

/* An error in the person's language.  The server speaks English, and says it more exactly. */
export function explain(error) {
  if (error.kind && error.kind !== "refused" && error.kind !== "failed" && isKnown(`problem.${error.kind}`)) {
    return t(`problem.${error.kind}`);
  }
  const key = `problem.type.${error.type}`;
  return language() !== "en" && isKnown(key) ? t(key) : error.message;
}
