/* question.jsx - what the person said, which can be said otherwise. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { bytes } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { isBusy, resend } from "../state/thread.js";
import { Versions } from "./answer.jsx";
import { Icon } from "./icons.jsx";
import { CopyButton, IconButton } from "./parts.jsx";

function Attached({ files }) {
  return (
    <ul class="attached" aria-label={t("attach.list")}>
      {files.map((file) => (
        <li key={file.id}>
          <a class="file-chip" href={`/api/upload/${encodeURIComponent(file.id)}`} download={file.name}>
            <Icon name="file" /><span class="file-name">{file.name}</span>{file.size > 0 && <span class="file-size">{bytes(file.size)}</span>}
          </a>
        </li>
      ))}
    </ul>
  );
}

function Editor({ question, onEnd }) {
  const box = useRef(null);
  const [text, setText] = useState(question.text);
  useLayoutEffect(() => {
    box.current.focus();
    box.current.setSelectionRange(text.length, text.length);
  }, []);
  const submit = (event) => {
    event.preventDefault();
    if (text.trim() !== "" && !isBusy()) {
      onEnd();
      resend(question, text.trim());
    }
  };
  return (
    <form class="editor" onSubmit={submit}>
      <textarea ref={box} class="edit" aria-label={t("question.edit")} rows={Math.min(10, text.split("\n").length + 1)} value={text} dir="auto"
        onInput={(event) => setText(event.currentTarget.value)} onKeyDown={(event) => event.key === "Escape" && onEnd()} />
      <p class="editor-actions">
        <button type="button" class="button" onClick={onEnd}>{t("cancel")}</button>
        <button type="submit" class="button primary" disabled={text.trim() === "" || isBusy()}>{t("question.resend")}</button>
      </p>
    </form>
  );
}

export function Question({ question }) {
  const [isEditing, setEditing] = useState(false);
  const edit = useRef(null);
  const end = () => {
    setEditing(false);
    requestAnimationFrame(() => edit.current?.querySelector(".edit-question")?.focus());
  };
  return (
    <article class="message user">
      <h2 class="speaker unseen">{t("speaker.user")}</h2>
      {question.attachments.length > 0 && <Attached files={question.attachments} />}
      {isEditing ? <Editor question={question} onEnd={end} /> : <p class="text" dir="auto">{question.text}</p>}
      {!isEditing && (
        <p class="actions" ref={edit}>
          <Versions node={question} />
          <CopyButton text={question.text} label={t("question.copy")} />
          <IconButton icon="edit" class="edit-question" label={t("question.edit")} disabled={isBusy()} onClick={() => setEditing(true)} />
        </p>
      )}
    </article>
  );
}
