/*
 * session.js - who the person is.  The session itself is a cookie that scripts cannot see; kept here is only
 * that there is one, so that guests are not asked about it.
 */

import { signal } from "@preact/signals";
import { call, watchSession } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { lasting, passing } from "../lib/storage.js";
import { notify } from "./notices.js";

export const user = signal(null);
/* While the server is being told that the person signs out. */
export const isLeaving = signal(false);
/* Until we know, nothing is said of guests. */
export const isKnown = signal(lasting.get("signed-in") !== true);

const AGAIN_MS = 2000;
const AGAIN_MAX_MS = 60_000;

const listeners = new Set();
const leaveListeners = new Set();
/* To the other windows of this browser. */
const windows = globalThis.BroadcastChannel ? new BroadcastChannel("bakame-session") : null;
let againTimer = 0;

/* Called with the user, or null, each time that changes. */
export function onUserChange(listener) {
  listeners.add(listener);
}

/* Called when somebody signed out, here or in another window, or is no more: what is theirs is to go. */
export function onLeave(listener) {
  leaveListeners.add(listener);
}

function stopAsking() {
  clearTimeout(againTimer);
  againTimer = 0;
}

function setUser(next) {
  const before = user.value?.id;
  stopAsking();
  user.value = next;
  isKnown.value = true;
  lasting.set("signed-in", next ? true : null);
  if (before !== next?.id) {
    listeners.forEach((listener) => listener(next));
  }
}

watchSession({
  exists: () => user.value !== null || lasting.get("signed-in") === true,
  ended: () => {
    const known = user.value !== null;
    setUser(null);
    if (known && !isLeaving.value) {
      notify(t("session.ended"), { kind: "warn" });
    }
  },
});

const mayPass = ({ kind, status }) => kind === "unreachable" || status >= 500 || status === 429;

/* At the start, and when the server shows that it knows us.  Asks again when that cannot be told just now. */
export async function loadUser(againMs = AGAIN_MS) {
  stopAsking();
  try {
    setUser((await call("GET", "/api/auth/me")).user);
  } catch (error) {
    if (error.status === 401 || error.status === 404) {
      setUser(null);
    } else if (user.value === null && mayPass(error)) {
      againTimer = setTimeout(loadUser, Math.max(againMs, (error.retryAfterSecs ?? 0) * 1000), Math.min(againMs * 2, AGAIN_MAX_MS));
    }
    isKnown.value = true;
  }
}

export async function startSession() {
  if (lasting.get("signed-in") === true) {
    await loadUser();
  }
}

let left = Promise.resolve();

/* `what` is "login" or "signup". */
export async function enter(what, credentials) {
  await left.catch(() => {});           // or the end of the old session would take the new one's cookie along
  const answer = await call("POST", `/api/auth/${what}`, credentials, { inSession: false });
  setUser(answer.user);
}

function forgetHere() {
  passing.clear("");
  setUser(null);
  leaveListeners.forEach((listener) => listener());
}

/* What was typed and shown is not for the next one at this computer. */
export function forget() {
  lasting.clear("draft");
  forgetHere();
  windows?.postMessage("left");
}

windows?.addEventListener("message", forgetHere);

addEventListener("online", () => {
  if (againTimer !== 0) {
    loadUser();
  }
});

async function endSession() {
  isLeaving.value = true;
  try {
    await call("POST", "/api/auth/logout", undefined, { inSession: false });
    forget();
  } finally {
    isLeaving.value = false;
  }
}

export function leave() {
  left = endSession();
  return left;
}
