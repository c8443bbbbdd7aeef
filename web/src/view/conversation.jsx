/* conversation.jsx - what was said, with its end in view as long as the person does not look elsewhere. */

import { computed, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../lib/i18n.js";
import { announcement } from "../state/announce.js";
import { explain } from "../state/problem.js";
import { open, send, shownMessages, thread } from "../state/thread.js";
import { Answer } from "./answer.jsx";
import { Icon } from "./icons.jsx";
import { Failure, Spinner } from "./parts.jsx";
import { Question } from "./question.jsx";

const NEAR_END_PX = 60;
const SUGGESTIONS = ["weather", "currency", "news", "write"];
const isFollowing = signal(true);
const hasMessages = computed(() => shownMessages().length > 0);

function Welcome() {
  return (
    <div id="welcome" class="welcome">
      <img src="/icon.svg" alt="" width="56" height="56" />
      <h2>{t("welcome.title")}</h2>
      <p>{t("welcome.text")}</p>
      <ul class="suggestions" aria-label={t("welcome.suggestions")}>
        {SUGGESTIONS.map((name) => (
          <li key={name}>
            <button type="button" class="suggestion" onClick={() => send(t(`suggestion.${name}`), [])}>
              <Icon name={name === "write" ? "edit" : name} />{t(`suggestion.${name}`)}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/* Keeps the end of `inside` in view while it grows, unless the person scrolled up to read. */
function useFollowing(view, inside) {
  useEffect(() => {
    let height = 0;
    const toEnd = () => { view.current.scrollTop = view.current.scrollHeight; };
    const observer = new ResizeObserver(() => {
      if (isFollowing.value && hasMessages.value) {
        toEnd();
      }
    });
    const onScroll = () => {
      const { scrollHeight, scrollTop, clientHeight } = view.current;
      const isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
      // Growth moves the end away too, and is no wish to look elsewhere.
      if (isAtEnd || scrollHeight === height) {
        isFollowing.value = isAtEnd;
      }
      height = scrollHeight;
    };
    const { current } = view;
    observer.observe(inside.current);
    observer.observe(current);
    current.addEventListener("scroll", onScroll, { passive: true });
    return () => {
      observer.disconnect();
      current.removeEventListener("scroll", onScroll);
    };
  }, []);
}

function Messages() {
  const which = thread.value;
  const messages = shownMessages(which);
  if (which.loading.value) {
    return <Spinner />;
  }
  if (which.failure.value) {
    const isGone = which.failure.value.status === 404;
    const again = () => {
      const { id } = which;
      which.id = null;
      open(id);
    };
    return <Failure text={isGone ? t("conversation.gone") : explain(which.failure.value)} onRetry={isGone ? null : again} />;
  }
  if (messages.length === 0) {
    return <Welcome />;
  }
  return messages.map((node, i) => (node.role === "user"
    ? <Question key={node.key} question={node} />
    : <Answer key={node.key} answer={node} isLast={i === messages.length - 1} />));
}

export function Conversation() {
  const view = useRef(null);
  const inside = useRef(null);
  useFollowing(view, inside);
  const count = shownMessages().length;
  useEffect(() => {             // what was just asked is to be seen
    isFollowing.value = true;
    view.current.scrollTop = count > 0 ? view.current.scrollHeight : 0;
  }, [count, thread.value]);
  return (
    <div class="conversation-frame">
      <div id="conversation" ref={view} role="log" aria-live="off" aria-label={t("conversation")} tabIndex={0}>
        <div ref={inside} class="conversation-inside"><Messages /></div>
      </div>
      {!isFollowing.value && count > 0 && (
        <button type="button" class="to-end icon-button" aria-label={t("toEnd")} title={t("toEnd")}
          onClick={() => { isFollowing.value = true; view.current.scrollTop = view.current.scrollHeight; }}>
          <Icon name="down" />
        </button>
      )}
      <p class="unseen" aria-live="polite">{announcement.value}</p>
    </div>
  );
}
