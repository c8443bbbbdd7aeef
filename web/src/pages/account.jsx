/* account.jsx - what is the person's own: language and theme for everybody, the rest for who is signed in. */

import { useEffect, useState } from "preact/hooks";
import { call } from "../lib/api.js";
import { saveFile } from "../lib/export.js";
import { day, parseDate } from "../lib/format.js";
import { LANGUAGES, language, t } from "../lib/i18n.js";
import { go, here, hrefOf } from "../lib/router.js";
import { notify } from "../state/notices.js";
import { THEMES, setLanguage, setTheme, theme } from "../state/prefs.js";
import { explain } from "../state/problem.js";
import { forget, user } from "../state/session.js";
import { startNew } from "../state/thread.js";
import { Icon } from "../view/icons.jsx";
import { Choice, CopyButton, Dialog, Failure, Field, Spinner } from "../view/parts.jsx";
import { PASSWORD_MIN, PasswordField } from "./sign.jsx";

const complain = (error) => notify(explain(error), { kind: "warn" });

/* [is it under way, run(event)] of what a form does, once however often somebody presses. */
function useOnce(act) {
  const [isBusy, setBusy] = useState(false);
  const run = async (event) => {
    event.preventDefault();
    if (!isBusy) {
      setBusy(true);
      await act();
      setBusy(false);
    }
  };
  return [isBusy, run];
}

function Section({ title, children }) {
  return <section class="section"><h2>{title}</h2>{children}</section>;
}

function Preferences() {
  const themes = Object.fromEntries(THEMES.map((name) => [name, t(`theme.${name}`)]));
  return (
    <Section title={t("settings")}>
      <div class="fields">
        <Choice label={t("language")} value={language()} options={LANGUAGES} onChange={(choice) => setLanguage(choice).catch(() => notify(t("language.failed"), { kind: "warn" }))} />
        <Choice label={t("theme")} value={theme.value} options={themes} onChange={setTheme} />
      </div>
    </Section>
  );
}

function Password() {
  const empty = { current: "", next: "" };
  const [fields, setFields] = useState(empty);
  const [fault, setFault] = useState("");
  const set = (name) => (event) => setFields({ ...fields, [name]: event.currentTarget.value });
  const [isBusy, submit] = useOnce(async () => {
    setFault("");
    try {
      await call("POST", "/api/auth/password", { current: fields.current, new: fields.next }, { inSession: false });
      setFields(empty);
      notify(t("password.changed"));
    } catch (error) {
      setFault(error.status === 401 || error.status === 403 ? t("password.wrong") : explain(error));
    }
  });
  return (
    <Section title={t("password")}>
      <form class="fields" onSubmit={submit}>
        <input type="text" class="unseen" autocomplete="username" value={user.value.email} readOnly tabIndex={-1} aria-hidden="true" />
        <PasswordField label={t("password.current")} autocomplete="current-password" value={fields.current} onInput={set("current")} error={fault} />
        <PasswordField label={t("password.new")} autocomplete="new-password" minLength={PASSWORD_MIN} value={fields.next} onInput={set("next")}
          hint={t("sign.passwordHint", { count: PASSWORD_MIN })} />
        <p><button type="submit" class="button" disabled={isBusy}>{t("password.change")}</button></p>
      </form>
    </Section>
  );
}

/* --- API keys -------------------------------------------------------------------------------- */

function KeyRow({ item, onRevoked }) {
  const [isSure, setSure] = useState(false);
  const created = parseDate(item.created_at);
  const used = parseDate(item.last_used_at);
  const revoke = async () => {
    try {
      await call("DELETE", `/api/auth/keys/${encodeURIComponent(item.id)}`);
      onRevoked();
    } catch (error) {
      complain(error);
    }
  };
  return (
    <li class="key">
      <span class="key-text">
        <b>{item.name}</b> <code>{item.prefix}…</code>
        <span class="hint">{created && t("keys.created", { date: day(created, { year: true }) })} · {used ? t("keys.used", { date: day(used, { year: true }) }) : t("keys.neverUsed")}</span>
      </span>
      <button type="button" class="button danger" aria-label={`${isSure ? t("keys.sure") : t("keys.revoke")} (${item.name})`} onClick={() => (isSure ? revoke() : setSure(true))} onBlur={() => setSure(false)}>
        {isSure ? t("keys.sure") : t("keys.revoke")}
      </button>
    </li>
  );
}

function NewKey({ made, onClose }) {
  return (
    <Dialog title={t("keys.new")} onClose={onClose}>
      <p>{t("keys.once")}</p>
      <p class="secret"><code>{made.key}</code><CopyButton text={made.key} /></p>
      <p class="dialog-actions"><button type="button" class="button primary" onClick={onClose}>{t("done")}</button></p>
    </Dialog>
  );
}

function Keys() {
  const [keys, setKeys] = useState(null);
  const [failure, setFailure] = useState(null);
  const [name, setName] = useState("");
  const [made, setMade] = useState(null);
  const load = () => call("GET", "/api/auth/keys").then((answer) => { setKeys(answer.keys); setFailure(null); }, setFailure);
  useEffect(() => { load(); }, []);
  const [isBusy, submit] = useOnce(async () => {
    try {
      const answer = await call("POST", "/api/auth/keys", { name: name.trim() });
      setMade(answer);
      setName("");
      load();
    } catch (error) {
      complain(error);
    }
  });
  return (
    <Section title={t("keys")}>
      <p class="hint">{t("keys.hint")}</p>
      {failure && <Failure text={explain(failure)} onRetry={load} />}
      {keys === null && !failure && <Spinner />}
      {keys?.length > 0 && <ul class="keys">{keys.map((item) => <KeyRow key={item.id} item={item} onRevoked={load} />)}</ul>}
      <form class="inline-form" onSubmit={submit}>
        <Field label={t("keys.name")} value={name} maxLength={100} required onInput={(event) => setName(event.currentTarget.value)} />
        <button type="submit" class="button" disabled={isBusy || name.trim() === ""}><Icon name="key" />{t("keys.make")}</button>
      </form>
      {made && <NewKey made={made} onClose={() => setMade(null)} />}
    </Section>
  );
}

/* --- taking it all along, or away ------------------------------------------------------------ */

function Export() {
  const [isBusy, setBusy] = useState(false);
  const download = async () => {
    setBusy(true);
    try {
      saveFile("bakame.json", "application/json", `${JSON.stringify(await call("GET", "/api/auth/export"), null, 2)}\n`);
    } catch (error) {
      complain(error);
    }
    setBusy(false);
  };
  return (
    <Section title={t("account.export")}>
      <p class="hint">{t("account.exportHint")}</p>
      <p><button type="button" class="button" disabled={isBusy} onClick={download}><Icon name="download" />{isBusy ? t("loading") : t("account.exportDo")}</button></p>
    </Section>
  );
}

function Erase() {
  const [isAsking, setAsking] = useState(false);
  const [typed, setTyped] = useState("");
  const { email } = user.value;
  const [isBusy, erase] = useOnce(async () => {
    try {
      await call("DELETE", "/api/auth/me");
      setAsking(false);
      forget();
      startNew();
      if (here().name === "account") {
        go();
      }
      notify(t("erase.done"));
    } catch (error) {
      complain(error);
    }
  });
  return (
    <Section title={t("erase")}>
      <p class="hint">{t("erase.hint")}</p>
      <p><button type="button" class="button danger" onClick={() => setAsking(true)}><Icon name="trash" />{t("erase")}</button></p>
      {isAsking && (
        <Dialog title={t("erase")} onClose={() => { setAsking(false); setTyped(""); }}>
          <form onSubmit={erase}>
            <p>{t("erase.warning")}</p>
            <Field label={t("erase.type", { email })} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} autocomplete="off" autocapitalize="none" spellcheck={false} />
            <p class="dialog-actions">
              <button type="button" class="button" onClick={() => setAsking(false)}>{t("cancel")}</button>
              <button type="submit" class="button danger" disabled={isBusy || typed.trim().toLowerCase() !== email.toLowerCase()}>{t("erase.do")}</button>
            </p>
          </form>
        </Dialog>
      )}
    </Section>
  );
}

export default function Account() {
  const who = user.value;
  return (
    <div class="page" tabIndex={0} role="region" aria-label={who ? t("account") : t("settings")}>
      <div class="page-inside">
        {who && (
          <p class="who"><Icon name="user" /><span><b>{who.name || who.email}</b><span class="hint">{who.email}</span></span></p>
        )}
        <Preferences />
        {who ? <><Password /><Keys /><Export /><Erase /></> : <p class="hint"><a href={hrefOf("sign-in")}>{t("guest.signIn")}</a></p>}
      </div>
    </div>
  );
}
