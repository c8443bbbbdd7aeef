/*
 * notices.js - short words at the bottom of the window that go away by themselves, some with a way back.
 */

import { signal } from "@preact/signals";

const SHOWN_MS = 6000;
const WITH_ACTION_MS = 10_000;

export const notices = signal([]);
let serial = 0;

/* `action`, where given: {label, run}.  `onGone` is called when it went away without the action being taken.  It stays
   while somebody points at it or has the focus in it: hold() and letGo(). */
export function notify(text, { kind = "info", action = null, onGone = () => {}, ms = action ? WITH_ACTION_MS : SHOWN_MS } = {}) {
  const notice = { key: ++serial, text, kind, action };
  let timer = setTimeout(dismiss, ms);
  function dismiss() {
    clearTimeout(timer);
    if (notices.value.includes(notice)) {
      notices.value = notices.value.filter((one) => one !== notice);
      onGone();
    }
  }
  notice.dismiss = dismiss;
  notice.hold = () => clearTimeout(timer);
  notice.letGo = () => {
    clearTimeout(timer);
    timer = setTimeout(dismiss, ms);
  };
  notice.act = () => {
    clearTimeout(timer);
    notices.value = notices.value.filter((one) => one !== notice);
    action.run();
  };
  notices.value = [...notices.value, notice];
  return notice;
}
