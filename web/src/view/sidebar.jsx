/* sidebar.jsx - what was talked about before, and the way to everything else.  On a phone it slides in. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { near, parseDate } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { go, here, hrefOf, route } from "../lib/router.js";
import { leaving, list, loadMore, pin, query, refreshList, remove, retitle, search } from "../state/conversations.js";
import { notify } from "../state/notices.js";
import { explain } from "../state/problem.js";
import { isKnown, isLeaving, leave, user } from "../state/session.js";
import { startNew, thread } from "../state/thread.js";
import { Icon } from "./icons.jsx";
import { Dialog, Failure, Field, IconButton, Menu } from "./parts.jsx";
import { saveConversation } from "./save.js";

const narrow = matchMedia("(max-width: 52rem)");
export const isNarrow = signal(narrow.matches);
export const isOpen = signal(false);
narrow.addEventListener("change", () => { isNarrow.value = narrow.matches; isOpen.value = false; });
addEventListener("hashchange", () => { isOpen.value = false; });         // whoever went somewhere wants to see it

const fail = (error) => notify(explain(error), { kind: "warn" });
const attempt = (promise) => promise.catch(fail);

export function newChat() {
  isOpen.value = false;
  startNew();
  go();
  requestAnimationFrame(() => document.getElementById("draft")?.focus());
}

/* --- a conversation of the list -------------------------------------------------------------- */

const titled = (item) => item.title || t("conversation.untitled");

function Rename({ item, onClose }) {
  const [title, setTitle] = useState(item.title ?? "");
  const submit = (event) => {
    event.preventDefault();
    onClose();
    attempt(retitle(item.id, title.trim()));
  };
  return (
    <Dialog title={t("conversation.rename")} onClose={onClose}>
      <form onSubmit={submit}>
        <Field label={t("conversation.title")} value={title} maxLength={200} required autofocus
          onInput={(event) => setTitle(event.currentTarget.value)} />
        <p class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
          <button type="submit" class="button primary" disabled={title.trim() === ""}>{t("save")}</button>
        </p>
      </form>
    </Dialog>
  );
}

function Item({ item }) {
  const [isRenaming, setRenaming] = useState(false);
  const isShown = thread.value.id === item.id && (route.value.name === "c" || route.value.name === "");
  const date = parseDate(item.updated_at);
  const drop = () => {
    remove(item.id, fail);
    if (isShown) {
      newChat();
    }
  };
  return (
    <li class="conversation-item">
      <a href={hrefOf("c", item.id)} aria-current={isShown ? "page" : undefined} title={titled(item)} dir="auto" onClick={() => { isOpen.value = false; }}>
        {item.pinned && <><Icon name="pin" /><span class="unseen">{t("conversation.pinned")} </span></>}
        <span class="item-title">{titled(item)}</span>
        {date && <span class="item-date">{near(date)}</span>}
      </a>
      <Menu label={t("conversation.menu", { title: titled(item) })} items={[
        { icon: "edit", label: t("conversation.rename"), run: () => setRenaming(true) },
        { icon: "pin", label: item.pinned ? t("conversation.unpin") : t("conversation.pin"), run: () => attempt(pin(item.id, !item.pinned)) },
        { icon: "download", label: t("export.markdown"), run: () => attempt(saveConversation(item.id, titled(item), "md")) },
        { icon: "download", label: t("export.json"), run: () => attempt(saveConversation(item.id, titled(item), "json")) },
        { icon: "trash", label: t("conversation.delete"), danger: true, run: drop },
      ]} />
      {isRenaming && <Rename item={item} onClose={() => setRenaming(false)} />}
    </li>
  );
}

function Conversations() {
  const { items, next, loading, failed } = list.value;
  const shown = items.filter(({ id }) => !leaving.value.has(id));
  return (
    <nav class="conversations" aria-label={t("conversations")}>
      <div class="search">
        <Icon name="search" />
        <label class="unseen" for="search">{t("conversations.search")}</label>
        <input id="search" type="search" placeholder={t("conversations.search")} value={query.value} onInput={(event) => search(event.currentTarget.value)} />
      </div>
      {failed && <Failure text={t("conversations.failed")} onRetry={refreshList} />}
      {shown.length > 0 && <ul>{shown.map((item) => <Item key={item.id} item={item} />)}</ul>}
      {!loading && !failed && shown.length === 0 && <p class="nothing">{query.value ? t("conversations.notFound") : t("conversations.none")}</p>}
      {next && <button type="button" class="button" disabled={loading} onClick={loadMore}>{t("more")}</button>}
    </nav>
  );
}

/* --- the rest -------------------------------------------------------------------------------- */

function GuestPitch() {
  return (
    <div class="pitch">
      <h2>{t("guest.title")}</h2>
      <p>{t("guest.can")}</p>
      <p>{t("guest.cannot")}</p>
      <p class="pitch-actions">
        <a class="button primary" href={hrefOf("sign-in")}>{t("signIn")}</a>
        <a class="button" href={hrefOf("sign-up")}>{t("signUp")}</a>
      </p>
    </div>
  );
}

function PageLink({ name, icon, children }) {
  return (
    <a href={hrefOf(name)} aria-current={route.value.name === name ? "page" : undefined} onClick={() => { isOpen.value = false; }}>
      <Icon name={icon} /><span>{children}</span>
    </a>
  );
}

/* Pages that are a guest's too. */
const OPEN_PAGES = new Set(["sign-in", "sign-up", "account"]);

/* It may take a while; who went on to such a page meanwhile stays there. */
async function signOut() {
  const { name } = here();
  await leave();
  if (here().name !== name && OPEN_PAGES.has(here().name)) {
    startNew();
  } else {
    newChat();
  }
}

function Foot() {
  const who = user.value;
  return (
    <nav class="sidebar-foot" aria-label={t("menu.pages")}>
      {who?.role === "admin" && <PageLink name="admin" icon="admin">{t("admin")}</PageLink>}
      {who ? <PageLink name="account" icon="user">{who.name || who.email}</PageLink> : <PageLink name="account" icon="settings">{t("settings")}</PageLink>}
      {who && <button type="button" disabled={isLeaving.value} onClick={() => attempt(signOut())}><Icon name="signOut" /><span>{t("signOut")}</span></button>}
    </nav>
  );
}

export function Sidebar() {
  const aside = useRef(null);
  const hidden = isNarrow.value && !isOpen.value;
  useEffect(() => {
    if (isNarrow.value && isOpen.value) {
      aside.current.querySelector("button, a")?.focus();
    }
  }, [isOpen.value]);
  const close = () => {
    isOpen.value = false;
    setTimeout(() => document.getElementById("open-menu")?.focus());    // once it can be reached again
  };
  return (
    <>
      <aside ref={aside} id="sidebar" class={isOpen.value ? "open" : ""} inert={hidden} aria-label={t("menu")}
        onKeyDown={(event) => event.key === "Escape" && isNarrow.value && close()}>
        <div class="sidebar-head">
          <a class="brand" href={hrefOf()} onClick={(event) => { event.preventDefault(); newChat(); }}>
            <img src="/icon.svg" alt="" width="28" height="28" />Bakame
          </a>
          {isNarrow.value
            ? <IconButton icon="close" label={t("close")} onClick={close} />
            : <button type="button" id="new-chat" class="icon-button" aria-label={t("newChat")} title={t("newChat")} onClick={newChat}><Icon name="plus" /></button>}
        </div>
        {user.value ? <Conversations /> : isKnown.value && <GuestPitch />}
        <Foot />
      </aside>
      {isNarrow.value && isOpen.value && <div class="shade" onClick={close} />}
    </>
  );
}
