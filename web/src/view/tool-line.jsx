/* tool-line.jsx - what a tool does, in a line: with what, how long, from the cache or not. */

import { duration } from "../lib/format.js";
import { isKnown, t } from "../lib/i18n.js";
import { Icon } from "./icons.jsx";

const ICONS = { weather: "weather", currency: "currency", news: "news", web_search: "search", search: "search", places: "place" };

const nameOf = (name) => (isKnown(`tool.${name}`) ? t(`tool.${name}`) : name);

function detailsOf(given) {
  return Object.values(given ?? {}).filter((value) => value !== null && value !== "")
    .map((value) => (typeof value === "object" ? JSON.stringify(value) : String(value))).join(", ");
}

function outcomeOf({ status, ms, cached, stale, error }) {
  if (status === "failed") {
    return t("tool.failed", { error: error || t("tool.noReason") });
  }
  if (status !== "done") {
    return t("tool.running");
  }
  const took = ms === undefined ? t("tool.done") : duration(ms);
  const origin = stale ? t("tool.stale") : cached ? t("tool.cached") : "";
  return origin ? `${took}, ${origin}` : took;
}

export function ToolLine({ tool }) {
  const details = detailsOf(tool.arguments);
  return (
    <p class={`tool ${tool.status}`}>
      <Icon name={ICONS[tool.name] ?? "tool"} />
      <span><b>{nameOf(tool.name)}</b>{details && ` (${details})`}<span class="tool-outcome">: {outcomeOf(tool)}</span></span>
    </p>
  );
}
