/* audit.jsx - who changed what, when, from where. */

import { moment, parseDate } from "../../lib/format.js";
import { t } from "../../lib/i18n.js";
import { explain } from "../../state/problem.js";
import { Failure, Spinner } from "../../view/parts.jsx";
import { usePages } from "./pages.js";

const detailsOf = (details) => (Object.keys(details ?? {}).length === 0 ? "" : JSON.stringify(details));

export function Audit() {
  const { items, next, isLoading, failure, reload, more } = usePages("/api/admin/audit", "entries");
  return (
    <section class="section">
      <h2>{t("admin.audit")}</h2>
      {failure && <Failure text={explain(failure)} onRetry={reload} />}
      {isLoading && items.length === 0 && <Spinner />}
      {!isLoading && !failure && items.length === 0 && <p class="hint">{t("audit.none")}</p>}
      {items.length > 0 && (
        <table class="rows">
          <thead><tr><th scope="col">{t("audit.when")}</th><th scope="col">{t("audit.who")}</th><th scope="col">{t("audit.what")}</th><th scope="col">{t("audit.where")}</th></tr></thead>
          <tbody>
            {items.map((entry) => {
              const at = parseDate(entry.at);
              return (
                <tr key={entry.id}>
                  <th scope="row">{at && moment(at)}</th>
                  <td data-label={t("audit.who")}>{entry.actor || t("audit.operator")}</td>
                  <td data-label={t("audit.what")}><span><b>{entry.action}</b> {entry.target} <span class="hint">{detailsOf(entry.details)}</span></span></td>
                  <td data-label={t("audit.where")} class="address">{entry.remote_addr}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      {next && <p><button type="button" class="button" disabled={isLoading} onClick={more}>{t("more")}</button></p>}
    </section>
  );
}
