/* app.jsx - the frame around all pages. */

import { useEffect, useRef } from "preact/hooks";
import { t } from "./lib/i18n.js";
import { route } from "./lib/router.js";
import { list } from "./state/conversations.js";
import { notices } from "./state/notices.js";
import { isOnline } from "./state/online.js";
import { user } from "./state/session.js";
import { isDemo, shownMessages, thread } from "./state/thread.js";
import { Composer } from "./view/composer.jsx";
import { Conversation } from "./view/conversation.jsx";
import { Icon } from "./view/icons.jsx";
import { later } from "./view/later.jsx";
import { Failure, IconButton, Menu, Spinner } from "./view/parts.jsx";
import { saveConversation } from "./view/save.js";
import { Sidebar, isNarrow, isOpen, newChat } from "./view/sidebar.jsx";

const options = {
  waiting: () => <Spinner />,
  failed: (_, retry) => <Failure text={t("page.failed")} onRetry={retry} />,
};
const Sign = later(() => import("./pages/sign.jsx"), options);
const Account = later(() => import("./pages/account.jsx"), options);
const Admin = later(() => import("./pages/admin.jsx"), options);

function Demo() {
  return isDemo.value && (
    <aside id="demo" aria-label={t("demo.label")}>
      <details>
        <summary><strong>{t("demo.is")}</strong> {t("demo.how")}</summary>
        <p>{t("demo.start")}</p>
        <p><code>OPENAI_API_KEY=… ./quickstart run</code></p>
        <p>{t("demo.other")}</p>
        <p><code>OPENAI_BASE_URL=http://127.0.0.1:11434/v1 OPENAI_MODEL=… ./quickstart run</code></p>
      </details>
    </aside>
  );
}

function Chat() {
  return (
    <>
      <Demo />
      <Conversation />
      <Composer />
    </>
  );
}

function Page() {
  switch (route.value.name) {
  case "sign-in":
    return <Sign key="sign-in" what="login" />;
  case "sign-up":
    return <Sign key="sign-up" what="signup" />;
  case "account":
    return <Account />;
  case "admin":
    return <Admin />;
  default:
    return <Chat />;
  }
}

function titleOfPage() {
  const { name } = route.value;
  const named = { "sign-in": "signIn", "sign-up": "signUp", account: user.value ? "account" : "settings", admin: "admin" }[name];
  if (named) {
    return t(named);
  }
  const { id } = thread.value;
  return id === null ? "" : list.value.items.find((item) => item.id === id)?.title ?? thread.value.title ?? "";
}

function TopBar({ title }) {
  const isChat = ["", "c"].includes(route.value.name);
  return (
    <header class="top-bar">
      {isNarrow.value && <IconButton icon="menu" id="open-menu" label={t("menu")} aria-expanded={isOpen.value} onClick={() => { isOpen.value = true; }} />}
      <h1 dir="auto">{title || "Bakame"}</h1>
      {isChat && shownMessages().length > 0 && <Menu icon="download" label={t("export")} items={["md", "json"].map((kind) => ({
        icon: "download", label: kind === "md" ? t("export.markdown") : t("export.json"), run: () => saveConversation(thread.value.id, title || "Bakame", kind),
      }))} />}
      {isNarrow.value && <IconButton icon="plus" id="new-chat" label={t("newChat")} onClick={newChat} />}
    </header>
  );
}

function Offline() {
  return !isOnline.value && <p class="offline" role="status"><Icon name="alert" />{t("offline")}</p>;
}

function Notices() {
  return (
    <div class="notices" role="status">
      {notices.value.map((notice) => (
        <p key={notice.key} class={`notice ${notice.kind}`} onPointerEnter={notice.hold} onPointerLeave={notice.letGo} onFocusIn={notice.hold} onFocusOut={notice.letGo}>
          <span>{notice.text}</span>
          {notice.action && <button type="button" class="link" onClick={notice.act}>{notice.action.label}</button>}
          <IconButton icon="close" label={t("close")} onClick={notice.dismiss} />
        </p>
      ))}
    </div>
  );
}

export function App() {
  const title = titleOfPage();
  const main = useRef(null);
  const { name } = route.value;
  const shown = useRef(name);
  useEffect(() => { document.title = title ? `${title} · Bakame` : "Bakame"; }, [title]);
  useEffect(() => {             // another page: begin at its top, for the keyboard too
    if (shown.current !== name && name !== "" && name !== "c") {
      main.current.focus();
    }
    shown.current = name;
  }, [name]);
  return (
    <>
      <button type="button" class="skip" onClick={() => (document.getElementById("draft") ?? main.current).focus()}>{t("skip")}</button>
      <Sidebar />
      <div class="pane" inert={isNarrow.value && isOpen.value}>
        <TopBar title={title} />
        <Offline />
        <main ref={main} tabIndex={-1}><Page /></main>
      </div>
      <Notices />
    </>
  );
}
