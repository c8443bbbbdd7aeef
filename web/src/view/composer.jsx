/* composer.jsx - the box in which a message is typed, with the files that go with it. */

import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { bytes, number } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { hrefOf } from "../lib/router.js";
import { ACCEPTED, attach, attachAgain, attachments, detach, isSending, takeAttachments } from "../state/attachments.js";
import { draft, saveFiles, setDraft } from "../state/draft.js";
import { notify } from "../state/notices.js";
import { problem, secondsLeft } from "../state/problem.js";
import { isKnown, user } from "../state/session.js";
import { isBusy, send, stop, thread } from "../state/thread.js";
import { Icon } from "./icons.jsx";
import { IconButton } from "./parts.jsx";

const PREVIEW_PX = 96;          // drawn at 48, for screens with twice the pixels
const isDropping = signal(false);
const isTouched = matchMedia("(pointer: coarse)");

/* --- attachments ----------------------------------------------------------------------------- */

/* A small picture of a picture.  Drawn, for the page may not load blob: addresses. */
function Preview({ file }) {
  const canvas = useRef(null);
  useEffect(() => {
    createImageBitmap(file, { resizeHeight: PREVIEW_PX }).then((picture) => {
      if (canvas.current) {
        canvas.current.width = Math.min(picture.width, PREVIEW_PX * 2);
        canvas.current.height = picture.height;
        canvas.current.getContext("2d").drawImage(picture, 0, 0);
        canvas.current.hidden = false;
      }
      picture.close();
    }, () => {});               // no picture after all
  }, [file]);
  return <canvas ref={canvas} class="preview" hidden aria-hidden="true" />;
}

function Attachment({ item }) {
  const percent = Math.round(item.progress * 100);
  return (
    <li class={`attachment ${item.status}`}>
      {item.file?.type.startsWith("image/") ? <Preview file={item.file} /> : <Icon name="file" />}
      <span class="attachment-text">
        <span class="file-name">{item.name}</span>
        <span class="file-size">{item.status === "failed" ? item.error : bytes(item.size)}</span>
        {item.status === "sending" && (
          <progress max="100" value={percent} aria-label={t("attach.progress", { name: item.name })}>{number(percent)} %</progress>
        )}
      </span>
      {item.status === "failed" && item.canAgain && <IconButton icon="retry" label={t("attach.again", { name: item.name })} onClick={() => attachAgain(item)} />}
      <IconButton icon="close" label={t("attach.remove", { name: item.name })} onClick={() => detach(item)} />
    </li>
  );
}

function Attachments() {
  useEffect(saveFiles, [attachments.value]);
  return attachments.value.length > 0 && (
    <ul class="attachments" aria-label={t("attach.list")}>{attachments.value.map((item) => <Attachment key={item.key} item={item} />)}</ul>
  );
}

function takeFiles(files) {
  if (files.length === 0) {
    return;
  }
  if (user.value) {
    attach(files);
  } else {
    notify(t("attach.signIn"), { action: { label: t("signIn"), run: () => { location.hash = hrefOf("sign-in"); } } });
  }
}

function AttachButton() {
  const chooser = useRef(null);
  return (
    <>
      <input ref={chooser} type="file" class="unseen" tabIndex={-1} aria-hidden="true" multiple accept={ACCEPTED}
        onChange={(event) => { takeFiles([...event.currentTarget.files]); event.currentTarget.value = ""; }} />
      <IconButton icon="attach" class="attach" label={t("attach")} onClick={() => (user.value ? chooser.current.click() : takeFiles([null]))} />
    </>
  );
}

/* Files may be dropped anywhere on the page. */
function useDropping() {
  useEffect(() => {
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    const over = (event) => {
      if (hasFiles(event)) {
        event.preventDefault();
        isDropping.value = true;
      }
    };
    const leave = (event) => { if (event.relatedTarget === null) isDropping.value = false; };
    const drop = (event) => {
      if (hasFiles(event)) {
        event.preventDefault();
        isDropping.value = false;
        takeFiles([...event.dataTransfer.files]);
      }
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, []);
}

/* --- the box --------------------------------------------------------------------------------- */

function fit(box) {
  const borders = box.offsetHeight - box.clientHeight;
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + borders}px`;
}

const cannotSend = () => secondsLeft.value > 0 || isSending() || thread.value.loading.value || thread.value.failure.value !== null;

function submit() {
  const text = draft.value.trim();
  const hasFiles = attachments.value.some(({ status }) => status === "ready");
  if ((text === "" && !hasFiles) || isBusy() || cannotSend()) {
    return;
  }
  const files = takeAttachments();
  setDraft("");
  send(text || t("attach.noText"), files);
}

function Problem() {
  return problem.value && (
    <p id="problem" role="alert">
      <Icon name="alert" />
      <span><span id="problem-text">{problem.value.text}</span>
        <span id="countdown" aria-hidden="true">{secondsLeft.value > 0 ? ` ${t("problem.wait", { count: secondsLeft.value, seconds: number(secondsLeft.value) })}` : ""}</span></span>
    </p>
  );
}

function GuestNotice() {
  return isKnown.value && !user.value && (
    <span class="guest-notice">{t("guest.short")} <a href={hrefOf("sign-in")}>{t("guest.signIn")}</a></span>
  );
}

/* One button, so that the focus stays where it is when Send becomes Stop. */
function Send({ busy }) {
  const label = busy ? t("stop") : t("send");
  const onClick = (event) => {
    if (busy) {
      event.preventDefault();   // it is Send again before the browser looks what the click does
      if (event.detail < 2) {   // the second click of a double one was not meant for Stop
        stop();
      }
    }
  };
  return (
    <button type={busy ? "button" : "submit"} id={busy ? "stop" : "send"} class="round" aria-label={label} title={label}
      disabled={!busy && cannotSend()} onClick={onClick}>
      <Icon name={busy ? "stop" : "send"} />
    </button>
  );
}

export function Composer() {
  const box = useRef(null);
  const busy = isBusy();
  useDropping();
  useLayoutEffect(() => fit(box.current), [draft.value]);
  useLayoutEffect(() => { if (!isTouched.matches) box.current.focus(); }, [thread.value]);
  const onPaste = (event) => {
    // Office programs put a picture of the text beside the text.
    const files = event.clipboardData.types.includes("text/plain") ? [] : [...event.clipboardData.files];
    if (files.length > 0) {
      event.preventDefault();
      takeFiles(files);
    }
  };
  const onKeyDown = (event) => {
    // Enter that ends the composition of a character does not send; nor does that of a keyboard on the screen, which
    // has no other way to begin a line.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !isTouched.matches) {
      event.preventDefault();
      submit();
    }
  };
  return (
    <form id="composer" class={isDropping.value ? "dropping" : ""} onSubmit={(event) => { event.preventDefault(); submit(); }}>
      <Problem />
      <div class="composer-box">
        <Attachments />
        <label class="unseen" for="draft">{t("draft.label")}</label>
        <textarea ref={box} id="draft" rows={1} placeholder={t("draft.label")} autocomplete="off" aria-describedby="keys" dir="auto"
          value={draft.value} onInput={(event) => setDraft(event.currentTarget.value)} onKeyDown={onKeyDown} onPaste={onPaste} />
        <div class="composer-row">
          <AttachButton />
          <GuestNotice />
          <Send busy={busy} />
        </div>
      </div>
      <p id="keys">{t("draft.keys")}</p>
      {isDropping.value && <p class="drop-here" aria-hidden="true">{t("attach.drop")}</p>}
    </form>
  );
}
