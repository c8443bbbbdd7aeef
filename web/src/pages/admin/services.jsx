/* services.jsx - how what Bakame depends on does, looked at again and again. */

import { useEffect, useState } from "preact/hooks";
import { cachesOf, queuesOf, servicesOf } from "../../lib/admin.js";
import { call } from "../../lib/api.js";
import { duration, number, time } from "../../lib/format.js";
import { isKnown, t } from "../../lib/i18n.js";
import { notify } from "../../state/notices.js";
import { explain } from "../../state/problem.js";
import { Failure, Spinner } from "../../view/parts.jsx";

const REFRESH_MS = 5000;

const nameOf = (name) => (isKnown(`tool.${name}`) ? t(`tool.${name}`) : name);
const stateOf = (state) => (isKnown(`services.state.${state}`) ? t(`services.state.${state}`) : state);

function Service({ service, onReset }) {
  const isOpen = service.state === "open" || service.state === "half_open";
  const isBad = isOpen || service.state === "unhealthy" || service.state === "degraded";
  const reset = async () => {
    try {
      await call("POST", `/api/admin/services/${encodeURIComponent(service.name)}/reset`);
      onReset();
    } catch (error) {
      notify(explain(error), { kind: "warn" });
    }
  };
  return (
    <tr>
      <th scope="row">{nameOf(service.name)}</th>
      <td data-label={t("services.state")}><span class={`state ${isBad ? "bad" : "good"}`}>{stateOf(service.state)}</span></td>
      <td data-label={t("services.failures")} class="number">{service.failures === null ? "–" : number(service.failures)}</td>
      <td data-label={t("services.latency")} class="number">{service.latency === null ? "–" : duration(service.latency)}</td>
      <td>{isOpen && <button type="button" class="button" aria-label={`${t("services.reset")} (${service.name})`} onClick={reset}>{t("services.reset")}</button>}</td>
    </tr>
  );
}

function Caches({ caches }) {
  return caches.length > 0 && (
    <table class="rows">
      <caption>{t("services.cache")}</caption>
      <thead><tr><th scope="col">{t("services.name")}</th><th scope="col" class="number">{t("services.hits")}</th><th scope="col" class="number">{t("services.misses")}</th><th scope="col" class="number">{t("services.rate")}</th></tr></thead>
      <tbody>
        {caches.map(({ name, hits, misses }) => (
          <tr key={name}>
            <th scope="row">{nameOf(name)}</th>
            <td class="number" data-label={t("services.hits")}>{number(hits)}</td>
            <td class="number" data-label={t("services.misses")}>{number(misses)}</td>
            <td class="number" data-label={t("services.rate")}>{hits + misses > 0 ? number(hits / (hits + misses), { style: "percent" }) : "–"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/* It says how things are with a status of 503 too.  null when it cannot be had. */
const askHealth = () => fetch("/api/health").then((response) => response.json()).catch(() => null);

export function Services() {
  const [answer, setAnswer] = useState(null);
  const [failure, setFailure] = useState(null);
  const [seen, setSeen] = useState(null);
  const load = async () => {
    try {
      const [services, health] = await Promise.all([call("GET", "/api/admin/services"), askHealth()]);
      setAnswer({ ...services, health });
      setFailure(null);
      setSeen(new Date());
    } catch (error) {
      setFailure(error);
    }
  };
  useEffect(() => {
    load();
    // Who does not look needs no news.
    const timer = setInterval(() => document.visibilityState === "visible" && load(), REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
  if (!answer) {
    return failure ? <Failure text={explain(failure)} onRetry={load} /> : <Spinner />;
  }
  const queues = queuesOf(answer);
  return (
    <section class="section">
      <h2>{t("admin.services")}</h2>
      <p class="hint">{failure ? explain(failure) : t("services.live")} {seen && t("services.seen", { time: time(seen) })}</p>
      <table class="rows">
        <thead><tr><th scope="col">{t("services.name")}</th><th scope="col">{t("services.state")}</th><th scope="col" class="number">{t("services.failures")}</th><th scope="col" class="number">{t("services.latency")}</th><th scope="col"><span class="unseen">{t("users.actions")}</span></th></tr></thead>
        <tbody>{servicesOf(answer, answer.health).map((service) => <Service key={service.name} service={service} onReset={load} />)}</tbody>
      </table>
      <Caches caches={cachesOf(answer)} />
      {queues.length > 0 && (
        <dl class="totals">{queues.map(({ name, depth }) => <div key={name}><dt>{t(`services.queue.${name}`)}</dt><dd>{number(depth)}</dd></div>)}</dl>
      )}
    </section>
  );
}
