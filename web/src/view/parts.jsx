/* parts.jsx - what all pages are made of: buttons, fields, menus, dialogs. */

import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { t } from "../lib/i18n.js";
import { Icon } from "./icons.jsx";

/* A button that is an icon, with its name for those who cannot see it, and on hovering. */
export function IconButton({ icon, label, class: className = "", ...rest }) {
  return (
    <button type="button" class={`icon-button ${className}`} aria-label={label} title={label} {...rest}>
      <Icon name={icon} />
    </button>
  );
}

/* A field with its label, and below it a hint or what is wrong. */
export function Field({ label, hint, error, ...rest }) {
  const id = useId();
  const below = error || hint;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input id={id} aria-invalid={error ? "true" : undefined} aria-describedby={below ? `${id}-below` : undefined} {...rest} />
      {below && <p id={`${id}-below`} class={error ? "field-error" : "hint"}>{below}</p>}
    </div>
  );
}

export function Choice({ label, value, options, onChange, hideLabel = false, ...rest }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id} class={hideLabel ? "unseen" : ""}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)} {...rest}>
        {Object.entries(options).map(([name, text]) => <option key={name} value={name}>{text}</option>)}
      </select>
    </div>
  );
}

export function Spinner({ label = t("loading") }) {
  return <p class="spinner" role="status"><span class="spinner-wheel" aria-hidden="true" />{label}</p>;
}

/* What went wrong with a page, and a way to try again. */
export function Failure({ text, onRetry }) {
  return (
    <div class="failure" role="alert">
      <p>{text}</p>
      {onRetry && <button type="button" class="button" onClick={onRetry}><Icon name="retry" />{t("tryAgain")}</button>}
    </div>
  );
}

/* Below its button, or above where there is no room. */
function placeMenu(menu, button) {
  const anchor = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = anchor.bottom + height + 8 < innerHeight;
  menu.style.top = `${Math.max(4, below ? anchor.bottom + 4 : anchor.top - height - 4)}px`;
  menu.style.left = `${Math.max(4, Math.min(anchor.right - width, innerWidth - width - 4))}px`;
}

/* A button with a menu: `items` are {icon, label, run, danger?}; those that are false are left out. */
export function Menu({ label, icon = "more", items, class: className = "" }) {
  const [open, setOpen] = useState(false);
  const button = useRef(null);
  const menu = useRef(null);
  const close = (focus) => {
    setOpen(false);
    if (focus) {
      button.current?.focus();
    }
  };
  useLayoutEffect(() => {
    if (!open) {
      return undefined;
    }
    placeMenu(menu.current, button.current);
    menu.current.querySelector("button").focus();
    const leave = (event) => !menu.current?.contains(event.target) && !button.current?.contains(event.target) && close(false);
    addEventListener("pointerdown", leave);
    addEventListener("resize", leave);
    return () => {
      removeEventListener("pointerdown", leave);
      removeEventListener("resize", leave);
    };
  }, [open]);
  const onKeyDown = (event) => {
    const all = [...menu.current.querySelectorAll("button")];
    const at = all.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1 }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      all[next % all.length].focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.stopPropagation();
      close(event.key === "Escape");
    }
  };
  return (
    <>
      <button ref={button} type="button" class={`icon-button ${className}`} aria-label={label} title={label} aria-haspopup="menu"
        aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name={icon} />
      </button>
      {open && (
        <div ref={menu} class="menu" role="menu" aria-label={label} onKeyDown={onKeyDown}>
          {items.filter(Boolean).map((item) => (
            <button key={item.label} type="button" role="menuitem" tabIndex={-1} class={item.danger ? "danger" : ""}
              onClick={() => { close(true); item.run(); }}>
              <Icon name={item.icon} />{item.label}
            </button>
          ))}
        </div>
      )}
    </>
  );
}

/* A question that must be answered first.  The browser keeps the focus inside, and gives it back. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef(null);
  const id = useId();
  useLayoutEffect(() => {
    dialog.current.showModal();
    return () => dialog.current?.close();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}>
      <div class="dialog-inside">
        <div class="dialog-head">
          <h2 id={id}>{title}</h2>
          <IconButton icon="close" label={t("close")} onClick={() => dialog.current.close()} />
        </div>
        {children}
      </div>
    </dialog>
  );
}

/* A button that tells that it has copied. */
export function CopyButton({ text, label = t("copy") }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    if (await copyText(typeof text === "function" ? text() : text)) {
      setDone(true);
      setTimeout(() => setDone(false), 2000);
    }
  };
  return <IconButton icon={done ? "check" : "copy"} label={done ? t("copied") : label} onClick={copy} />;
}

/* False where the browser refuses: without TLS, navigator.clipboard is not there. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const box = document.createElement("textarea");
  const focused = document.activeElement;
  box.value = text;
  box.className = "unseen";
  document.body.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  focused?.focus();
  return done;
}
