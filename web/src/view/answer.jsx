/* answer.jsx - an answer: its tools, its text as it comes, how it ended, and what can be done with it. */

import { effect, useComputed } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../lib/i18n.js";
import { versionOf } from "../lib/tree.js";
import { goOn, isBusy, regenerate, thread, turnTo } from "../state/thread.js";
import { createMarkdownView } from "./markdown-view.js";
import { CopyButton, IconButton, copyText } from "./parts.jsx";
import { ToolLine } from "./tool-line.jsx";
import { Icon } from "./icons.jsx";
import { later } from "./later.jsx";

/* Drawing may take so much of the time, however long what is drawn has become. */
const DRAWING_SHARE = 0.2;

/* Calls draw(text) at most once a frame, and seldom enough that the page has time for everything else. */
function followText(answer, draw) {
  let frame = 0;
  let timer = 0;
  let nextAt = 0;
  const step = () => {
    frame = 0;
    const began = performance.now();
    draw(answer.text);
    const ended = performance.now();
    nextAt = ended + (ended - began) * (1 / DRAWING_SHARE - 1);
  };
  const plan = () => {
    timer = 0;
    frame ||= requestAnimationFrame(step);
  };
  const end = effect(() => {
    answer.grown.value;
    if (frame === 0 && timer === 0) {
      const wait = nextAt - performance.now();
      if (wait > 0) {
        timer = setTimeout(plan, wait);
      } else {
        plan();
      }
    }
  });
  return () => {
    end();
    clearTimeout(timer);
    cancelAnimationFrame(frame);
  };
}

async function copyCode(event) {
  const button = event.target.closest(".copy-code");
  if (button && await copyText(button.closest("figure").querySelector("code").textContent)) {
    button.textContent = t("copied");
    setTimeout(() => { button.textContent = t("copy"); }, 2000);
  }
}

export function AnswerText({ answer }) {
  const root = useRef(null);
  const isWriting = answer.status.value === "writing";
  const view = useRef(null);
  useLayoutEffect(() => {       // with the last words comes all that can be done with the answer, not before
    view.current ??= createMarkdownView(root.current);
    if (isWriting) {
      return followText(answer, view.current.update);
    }
    view.current.end(answer.text);
    return undefined;
  }, [isWriting]);
  return <div ref={root} class={`text markdown ${isWriting ? "growing" : ""}`} dir="auto" onClick={copyCode} />;
}

/* The cards of tools are loaded when the first tool is used. */
const ToolCard = later(() => import("./tool-card.jsx"));

function Tools({ answer }) {
  answer.used.value;            // they change with it
  return answer.tools.map((tool) => (
    <div key={tool.id} class="tool-use">
      <ToolLine tool={tool} />
      {tool.status === "done" && tool.result && <ToolCard tool={tool} />}
    </div>
  ));
}

const BROKE_OFF = new Set(["lost", "failed", "interrupted", "stopped"]);

function Note({ answer, isLast }) {
  const note = answer.note.value;
  if (!note) {
    return null;
  }
  const kept = note.text ? `${note.text} ${t("note.kept")}` : t(`note.${note.kind}`);
  return (
    <div class="ending">
      <p class="note"><Icon name="alert" /><span>{kept}</span></p>
      {isLast && !isBusy() && (BROKE_OFF.has(note.kind) || note.kind === "length") && (
        <p class="ending-actions">
          <button type="button" class="button" onClick={goOn}><Icon name="forward" />{t("continue")}</button>
          <button type="button" class="button" onClick={() => regenerate(answer)}><Icon name="retry" />{t("tryAgain")}</button>
        </p>
      )}
    </div>
  );
}

/* Which of several versions is shown, and the way to the others. */
export function Versions({ node }) {
  const { version, versions } = versionOf(thread.value.tree, node);
  if (versions < 2) {
    return null;
  }
  return (
    <span class="versions" role="group" aria-label={t("versions")}>
      <IconButton icon="back" label={t("versions.previous")} disabled={version === 1 || isBusy()} onClick={() => turnTo(node, -1)} />
      <span>{t("versions.which", { version, versions })}</span>
      <IconButton icon="forward" label={t("versions.next")} disabled={version === versions || isBusy()} onClick={() => turnTo(node, 1)} />
    </span>
  );
}

function Waiting({ answer }) {
  const isThinking = useComputed(() => {
    const counts = answer.grown.value + answer.used.value;
    return counts === 0 || (answer.text === "" && !answer.tools.some(({ status }) => status === "running"));
  });
  return isThinking.value && (
    <p class="waiting" role="status">
      <span class="dots" aria-hidden="true"><i /><i /><i /></span>
      {answer.isLate.value ? <span class="late">{t("answer.late")}</span> : <span class="unseen">{t("answer.waiting")}</span>}
    </p>
  );
}

export function Answer({ answer, isLast }) {
  const isWriting = answer.status.value === "writing";
  return (
    <article class={`message assistant ${isWriting ? "writing" : ""}`} aria-busy={isWriting ? "true" : undefined}>
      <h2 class="speaker"><span class="mark" aria-hidden="true" />{t("speaker.assistant")}</h2>
      <Tools answer={answer} />
      {isWriting && <Waiting answer={answer} />}
      <AnswerText answer={answer} />
      <Note answer={answer} isLast={isLast} />
      {!isWriting && (
        <p class="actions">
          <Versions node={answer} />
          <CopyButton text={() => answer.text} label={t("answer.copy")} />
          <IconButton icon="retry" label={t("answer.again")} disabled={isBusy()} onClick={() => regenerate(answer)} />
        </p>
      )}
    </article>
  );
}
