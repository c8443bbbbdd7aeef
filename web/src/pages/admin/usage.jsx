/* usage.jsx - how much was asked, and by whom. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { peopleOf, usageOf } from "../../lib/admin.js";
import { call, withQuery } from "../../lib/api.js";
import { number } from "../../lib/format.js";
import { t } from "../../lib/i18n.js";
import { explain } from "../../state/problem.js";
import { later } from "../../view/later.jsx";
import { Choice, Failure, Spinner } from "../../view/parts.jsx";

const Plot = later(() => import("../../view/plot.jsx"), { waiting: () => <Spinner /> });

const HOUR_MS = 3_600_000;
const SPANS = { "24h": [24 * HOUR_MS, "hour"], "7d": [7 * 24 * HOUR_MS, "hour"], "30d": [30 * 24 * HOUR_MS, "day"], "365d": [365 * 24 * HOUR_MS, "day"] };
const KINDS = ["requests", "tokens", "tools", "errors"];

function People({ people }) {
  return people.length > 0 && (
    <table class="rows">
      <thead><tr><th scope="col">{t("users.who")}</th>{KINDS.map((kind) => <th key={kind} scope="col" class="number">{t(`usage.${kind}`)}</th>)}</tr></thead>
      <tbody>
        {people.map((row, i) => (
          <tr key={i}>
            <th scope="row" dir="auto">{row.name || t("usage.guests")}</th>
            {KINDS.map((kind) => <td key={kind} class="number" data-label={t(`usage.${kind}`)}>{number(row[kind])}</td>)}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Usage() {
  const [span, setSpan] = useState("30d");
  const [kind, setKind] = useState("requests");
  const [answer, setAnswer] = useState(null);
  const [failure, setFailure] = useState(null);
  const asked = useRef(0);
  const load = async () => {
    const [length, bucket] = SPANS[span];
    const mine = ++asked.current;
    setFailure(null);
    try {
      const found = await call("GET", withQuery("/api/admin/usage", {
        from: new Date(Date.now() - length).toISOString().replace(/\.\d+Z/, "Z"), to: new Date().toISOString().replace(/\.\d+Z/, "Z"), bucket,
      }));
      if (mine === asked.current) {
        setAnswer(found);
      }
    } catch (error) {
      if (mine === asked.current) {
        setFailure(error);
      }
    }
  };
  useEffect(() => { load(); }, [span]);
  const usage = useMemo(() => answer && usageOf(answer), [answer]);
  const series = useMemo(() => usage && { times: usage.rows.map(({ at }) => at.getTime() / 1000), lines: [usage.rows.map((row) => row[kind])] }, [usage, kind]);
  return (
    <section class="section">
      <h2>{t("admin.usage")}</h2>
      <div class="fields">
        <Choice label={t("usage.span")} value={span} options={Object.fromEntries(Object.keys(SPANS).map((name) => [name, t(`usage.span.${name}`)]))} onChange={setSpan} />
        <Choice label={t("usage.kind")} value={kind} options={Object.fromEntries(KINDS.map((name) => [name, t(`usage.${name}`)]))} onChange={setKind} />
      </div>
      {failure && <Failure text={explain(failure)} onRetry={load} />}
      {!usage && !failure && <Spinner />}
      {usage && (
        <>
          <dl class="totals">
            {KINDS.map((name) => <div key={name} class={name === kind ? "chosen" : ""}><dt>{t(`usage.${name}`)}</dt><dd>{number(usage.totals[name])}</dd></div>)}
          </dl>
          {usage.rows.length > 0
            ? <Plot {...series} names={[t(`usage.${kind}`)]} bars label={t("usage.plot", { what: t(`usage.${kind}`), total: number(usage.totals[kind]) })} />
            : <p class="hint">{t("usage.none")}</p>}
          <People people={peopleOf(answer)} />
        </>
      )}
    </section>
  );
}
