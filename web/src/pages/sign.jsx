/* sign.jsx - sign in, or make an account. */

import { useEffect, useState } from "preact/hooks";
import { t } from "../lib/i18n.js";
import { go, hrefOf } from "../lib/router.js";
import { explain } from "../state/problem.js";
import { enter, isLeaving, user } from "../state/session.js";
import { startNew, thread } from "../state/thread.js";
import { Field } from "../view/parts.jsx";

export const PASSWORD_MIN = 8;

/* What was wrong, in words for the person. */
function faultOf(error, what) {
  if (error.status === 404) {
    return t("sign.unavailable");
  }
  if (error.status === 401 && what === "login") {
    return t("sign.wrong");
  }
  if (error.status === 409 && what === "signup") {
    return t("sign.exists");
  }
  if (error.status === 429) {
    return t("sign.tooOften", { count: error.retryAfterSecs });
  }
  return explain(error);
}

export function PasswordField({ label, isShown, ...rest }) {
  return <Field label={label} type={isShown ? "text" : "password"} required maxLength={1000} autocapitalize="none" spellcheck={false} {...rest} />;
}

export default function Sign({ what }) {
  const isNew = what === "signup";
  const [fields, setFields] = useState({ name: "", email: "", password: "" });
  const [isShown, setShown] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [fault, setFault] = useState("");
  const set = (name) => (event) => setFields({ ...fields, [name]: event.currentTarget.value });
  const isIn = user.value !== null && !isLeaving.value;
  useEffect(() => { if (isIn) go(); }, [isIn]);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setFault("");
    try {
      const { name, email, password } = fields;
      await enter(what, { email: email.trim(), password, ...(isNew && name.trim() && { name: name.trim() }) });
      if (thread.value.id === null && thread.value.tree.nodes.size === 0) {
        startNew();
      }
    } catch (error) {
      setFault(faultOf(error, what));
      setBusy(false);
    }
  };
  return (
    <div class="page">
      <form class="sign" onSubmit={submit}>
        <img src="/icon.svg" alt="" width="48" height="48" />
        <h2>{isNew ? t("signUp") : t("sign.welcome")}</h2>
        {fault && <p class="fault" role="alert">{fault}</p>}
        {isNew && <Field label={t("sign.name")} value={fields.name} onInput={set("name")} autocomplete="name" maxLength={200} hint={t("sign.optional")} />}
        <Field label={t("sign.email")} type="email" value={fields.email} onInput={set("email")} autocomplete="username" required maxLength={254} />
        <PasswordField label={t("sign.password")} isShown={isShown} value={fields.password} onInput={set("password")}
          autocomplete={isNew ? "new-password" : "current-password"} minLength={isNew ? PASSWORD_MIN : undefined}
          hint={isNew ? t("sign.passwordHint", { count: PASSWORD_MIN }) : undefined} />
        <label class="check"><input type="checkbox" checked={isShown} onChange={() => setShown(!isShown)} />{t("sign.show")}</label>
        <button type="submit" class="button primary" disabled={isBusy}>{isBusy ? t("loading") : isNew ? t("signUp") : t("signIn")}</button>
        <p class="sign-other">
          {isNew ? t("sign.haveAccount") : t("sign.noAccount")}{" "}
          <a href={hrefOf(isNew ? "sign-in" : "sign-up")}>{isNew ? t("signIn") : t("signUp")}</a>
        </p>
      </form>
    </div>
  );
}
