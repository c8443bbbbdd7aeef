/* users.jsx - the people: who they are, what they may, how much. */

import { useState } from "preact/hooks";
import { call } from "../../lib/api.js";
import { day, number, parseDate } from "../../lib/format.js";
import { t } from "../../lib/i18n.js";
import { notify } from "../../state/notices.js";
import { explain } from "../../state/problem.js";
import { Choice, Dialog, Failure, Field, Spinner } from "../../view/parts.jsx";
import { usePages } from "./pages.js";

const LIMIT = /^(?:[1-9]\d{0,4}(?:\/[1-9]\d{0,4})?)?$/;
const TOKENS = /^\d{0,12}$/;

/* What is left empty is as for everybody. */
function LimitDialog({ person, onSave, onClose }) {
  const [limit, setLimit] = useState(person.rate_limit ?? "");
  const [tokens, setTokens] = useState(String(person.tokens_per_day ?? ""));
  const isLimit = LIMIT.test(limit.trim());
  const isTokens = TOKENS.test(tokens.trim());
  const submit = (event) => {
    event.preventDefault();
    onClose();
    onSave({ rate_limit: limit.trim() || null, tokens_per_day: tokens.trim() === "" ? null : Number(tokens) });
  };
  return (
    <Dialog title={t("users.limit")} onClose={onClose}>
      <form onSubmit={submit}>
        <p>{person.email}</p>
        <Field label={t("users.limitLabel")} value={limit} onInput={(event) => setLimit(event.currentTarget.value)} placeholder="100/60"
          hint={t("users.limitHint")} error={isLimit ? "" : t("users.limitBad")} />
        <Field label={t("users.tokens")} value={tokens} onInput={(event) => setTokens(event.currentTarget.value)} inputMode="numeric"
          hint={t("users.tokensHint")} error={isTokens ? "" : t("users.tokensBad")} />
        <p class="dialog-actions">
          <button type="button" class="button" onClick={onClose}>{t("cancel")}</button>
          <button type="submit" class="button primary" disabled={!isLimit || !isTokens}>{t("save")}</button>
        </p>
      </form>
    </Dialog>
  );
}

function Person({ person, onChanged }) {
  const [isLimiting, setLimiting] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const created = parseDate(person.created_at);
  const limits = [person.rate_limit, person.tokens_per_day !== null && t("users.tokensADay", { tokens: number(person.tokens_per_day) })]
    .filter(Boolean).join(", ") || t("users.limitUsual");
  const change = async (members) => {
    setBusy(true);
    try {
      const answer = await call("PATCH", `/api/admin/users/${encodeURIComponent(person.id)}`, members);
      onChanged(answer);
    } catch (error) {
      onChanged({ ...person });
      notify(error.status === 409 ? t("users.lastAdmin") : explain(error), { kind: "warn" });
    }
    setBusy(false);
  };
  return (
    <tr class={person.disabled ? "disabled" : ""}>
      <th scope="row"><span dir="auto">{person.name || person.email}</span>{person.name && <span class="hint">{person.email}</span>}</th>
      <td data-label={t("users.since")}>{created && day(created, { year: true })}</td>
      <td data-label={t("users.role")}>
        <Choice label={t("users.roleOf", { name: person.email })} hideLabel value={person.role} disabled={isBusy}
          options={{ user: t("users.role.user"), admin: t("users.role.admin") }} onChange={(role) => change({ role })} />
      </td>
      <td data-label={t("users.limit")}>
        <button type="button" class="button" disabled={isBusy} aria-label={`${limits}, ${t("users.limitOf", { name: person.email })}`} onClick={() => setLimiting(true)}>
          {limits}
        </button>
      </td>
      <td>
        <button type="button" class={`button ${person.disabled ? "" : "danger"}`} disabled={isBusy} aria-label={`${person.disabled ? t("users.enable") : t("users.disable")} (${person.email})`}
          onClick={() => change({ disabled: !person.disabled })}>
          {person.disabled ? t("users.enable") : t("users.disable")}
        </button>
      </td>
      {isLimiting && <LimitDialog person={person} onSave={change} onClose={() => setLimiting(false)} />}
    </tr>
  );
}

export function Users() {
  const [query, setQuery] = useState("");
  const { items, next, isLoading, failure, reload, more, replace } = usePages("/api/admin/users", "users", { q: query.trim() });
  return (
    <section class="section">
      <h2>{t("admin.users")}</h2>
      <Field label={t("users.search")} type="search" value={query} onInput={(event) => setQuery(event.currentTarget.value)} />
      {failure && <Failure text={explain(failure)} onRetry={reload} />}
      {items.length > 0 && (
        <table class="rows">
          <thead><tr><th scope="col">{t("users.who")}</th><th scope="col">{t("users.since")}</th><th scope="col">{t("users.role")}</th><th scope="col">{t("users.limit")}</th><th scope="col"><span class="unseen">{t("users.actions")}</span></th></tr></thead>
          <tbody>{items.map((person) => <Person key={person.id} person={person} onChanged={replace} />)}</tbody>
        </table>
      )}
      {isLoading && items.length === 0 && <Spinner />}
      {!isLoading && !failure && items.length === 0 && <p class="hint">{t("conversations.notFound")}</p>}
      {next && <p><button type="button" class="button" disabled={isLoading} onClick={more}>{t("more")}</button></p>}
    </section>
  );
}
