/*
 * conversations.js - the list of what was talked about, as the server keeps it for who is signed in.
 */

import { signal } from "@preact/signals";
import { call, withQuery } from "../lib/api.js";
import { t } from "../lib/i18n.js";
import { lasting } from "../lib/storage.js";
import { notify } from "./notices.js";
import { onUserChange, user } from "./session.js";

const PAGE = 30;
const SEARCH_PAUSE_MS = 250;
const MADE_GOOD_AFTER_MS = 30_000;

export const list = signal({ items: [], next: null, loading: false, failed: false });
export const query = signal("");
/* Ids that are about to be deleted, while there is a way back. */
export const leaving = signal(new Set());

let asked = 0;
let searchTimer = 0;

async function load(more) {
  const mine = ++asked;
  const before = list.value;
  list.value = { ...before, loading: true, failed: false };
  try {
    const cursor = more ? before.next : null;
    const page = await call("GET", withQuery("/api/conversations", { cursor, limit: PAGE, q: query.value.trim() }));
    const items = page.conversations;
    if (mine === asked) {
      list.value = { items: more ? [...list.value.items, ...items] : items, next: page.next_cursor, loading: false, failed: false };
    }
  } catch {
    if (mine === asked) {
      list.value = { ...list.value, loading: false, failed: true };
    }
  }
}

export const refreshList = () => (user.value ? load(false) : undefined);
export const loadMore = () => load(true);

/* Something changed: an answer that is under way would show the list as it was before.  True when there was one. */
function overtake() {
  const { loading } = list.value;
  asked++;
  list.value = { ...list.value, loading: false };
  return loading;
}

export function search(text) {
  query.value = text;
  clearTimeout(searchTimer);
  searchTimer = setTimeout(refreshList, SEARCH_PAUSE_MS);
}

function change(id, members) {
  list.value = { ...list.value, items: list.value.items.map((item) => (item.id === id ? { ...item, ...members } : item)) };
}

/* A conversation that just began, or went on: to the top, below those that are pinned. */
export function touch(id, title) {
  const known = list.value.items.find((item) => item.id === id);
  const item = { id, title, pinned: false, ...known, updated_at: new Date().toISOString() };
  const overtook = overtake();
  const others = list.value.items.filter((other) => other.id !== id);
  const place = item.pinned ? 0 : others.filter(({ pinned }) => pinned).length;
  list.value = { ...list.value, items: [...others.slice(0, place), item, ...others.slice(place)] };
  if (overtook) {
    refreshList();
  }
}

export const titleOf = (id) => list.value.items.find((item) => item.id === id)?.title ?? "";

async function patch(id, members) {
  const before = list.value.items.find((item) => item.id === id);
  const overtook = overtake();
  change(id, members);
  try {
    await call("PATCH", `/api/conversations/${encodeURIComponent(id)}`, members);
  } catch (error) {
    change(id, before);
    throw error;
  } finally {
    if (overtake() || overtook) {
      refreshList();
    }
  }
}

export const retitle = (id, title) => patch(id, { title });

export async function pin(id, pinned) {
  await patch(id, { pinned });
  await refreshList();
}

function setLeaving(ids) {
  leaving.value = new Set(ids);
  lasting.set("leaving", ids.length > 0 ? ids : null);
}

async function deleteNow(id, { keepalive = false, onFail = () => {} } = {}) {
  try {
    await call("DELETE", `/api/conversations/${encodeURIComponent(id)}`, undefined, { keepalive });
  } catch (error) {
    if (error.status !== 404) {
      onFail(error);
      return;
    }
  }
  const overtook = overtake();
  list.value = { ...list.value, items: list.value.items.filter((item) => item.id !== id) };
  setLeaving([...leaving.value].filter((one) => one !== id));
  if (overtook) {
    refreshList();
  }
}

/* It is gone from the list at once, and from the server when nobody wanted it back.  Should the page be left before,
   and the browser let nothing out any more, that is made good when it is opened again: after a while, for another
   window may be where it is still wanted back. */
export function remove(id, onFail) {
  const stay = () => setLeaving([...leaving.value].filter((one) => one !== id));
  const now = () => deleteNow(id, { keepalive: true });
  setLeaving([...leaving.value, id]);
  addEventListener("pagehide", now);
  const wait = () => removeEventListener("pagehide", now);
  notify(t("conversation.deleted"), {
    action: { label: t("undo"), run: () => { wait(); stay(); } },
    onGone: () => { wait(); deleteNow(id, { onFail: (error) => { stay(); onFail(error); } }); },
  });
}

let leavingTimer = 0;

function makeGood(ids) {
  const still = new Set(lasting.get("leaving") ?? []);
  ids.filter((id) => still.has(id)).forEach((id) => deleteNow(id));
}

onUserChange((who) => {
  query.value = "";
  list.value = { items: [], next: null, loading: false, failed: false };
  if (who) {
    leaving.value = new Set(lasting.get("leaving") ?? []);
    clearTimeout(leavingTimer);
    leavingTimer = setTimeout(makeGood, MADE_GOOD_AFTER_MS, [...leaving.value]);
    refreshList();
  }
});
