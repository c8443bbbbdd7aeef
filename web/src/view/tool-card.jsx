/* tool-card.jsx - what a tool found, drawn: the weather, a sum of money, a list of links. */

import { Component } from "preact";
import { day, money, near, number, weekday } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { currencyOf, linksOf, weatherOf } from "../lib/results.js";
import { Icon } from "./icons.jsx";
import { later } from "./later.jsx";

const Plot = later(() => import("./plot.jsx"));

const degrees = (value, unit) => `${number(Math.round(value))}${unit === "°" ? "" : "\u202f"}${unit}`;

function Weather({ weather }) {
  const { degree } = weather;
  const details = [
    weather.feelsLike !== null && t("weather.feelsLike", { temperature: degrees(weather.feelsLike, degree) }),
    weather.humidity !== null && t("weather.humidity", { percent: number(weather.humidity) }),
    weather.wind !== null && t("weather.wind", { speed: `${number(weather.wind)} ${weather.windUnit}` }),
  ].filter(Boolean);
  return (
    <>
      <p class="card-head"><b>{weather.place}</b>{weather.conditions && <span>{weather.conditions}</span>}</p>
      {weather.temperature !== null && <p class="card-large">{degrees(weather.temperature, degree)}</p>}
      {details.length > 0 && <p class="card-quiet">{details.join(" · ")}</p>}
      {weather.days.length > 0 && (
        <ul class="days" aria-label={t("weather.forecast")}>
          {weather.days.map(({ date, conditions, min, max, chance }) => (
            <li key={date.getTime()} title={conditions}>
              <b>{weekday(date)}</b>
              <span>{degrees(max, "°")}{min !== null && <span class="card-quiet"> {degrees(min, "°")}</span>}</span>
              {chance !== null && <span class="chance"><Icon name="drop" /><span class="unseen">{t("weather.rain")} </span>{number(chance)} %</span>}
            </li>
          ))}
        </ul>
      )}
      {weather.series && <Plot {...weather.series} label={t("weather.plot", { place: weather.place })} names={weather.series.lines.length > 1 ? [t("weather.max"), t("weather.min")] : [t("weather.temperature")]} unit={degree} />}
    </>
  );
}

function Currency({ currency }) {
  const { amount, from, to, result, rate, date, series, since, percent } = currency;
  return (
    <>
      {result !== null && <p class="card-large"><span class="card-quiet">{money(amount)} {from} = </span>{money(result)} {to}</p>}
      <p class="card-quiet">{[rate !== null && `1 ${from} = ${money(rate)} ${to}`, date && day(date, { year: true })].filter(Boolean).join(" · ")}</p>
      {series && <Plot {...series} label={t("currency.plot", { from, to })} names={[`${from}/${to}`]} unit="" />}
      {since && percent !== null && <p class="card-quiet">{t("currency.change", { date: day(since), percent: number(percent / 100, { style: "percent", maximumFractionDigits: 2, signDisplay: "exceptZero" }) })}</p>}
    </>
  );
}

function Links({ rows }) {
  return (
    <ul class="links">
      {rows.map(({ title, url, about, date, text, distance }, i) => (
        <li key={i} dir="auto">
          {url ? <a href={url} target="_blank" rel="noopener noreferrer nofollow">{title}</a> : <b>{title}</b>}
          <span class="card-quiet">{[about, date && near(date), distance !== null && `${number(Math.round(distance))} m`].filter(Boolean).join(" · ")}</span>
          {text && <span class="link-text">{text}</span>}
        </li>
      ))}
    </ul>
  );
}

/* The card that fits, or null. */
function drawingOf({ name, result }) {
  if (name === "weather") {
    const weather = weatherOf(result);
    return weather && <Weather weather={weather} />;
  }
  if (name === "currency") {
    const currency = currencyOf(result);
    return currency && <Currency currency={currency} />;
  }
  const rows = linksOf(result);
  return rows && <Links rows={rows} />;
}

/* A result of a shape that nobody thought of must not take the conversation away. */
class Guarded extends Component {
  static getDerivedStateFromError() {
    return { failed: true };
  }

  render({ children }, { failed }) {
    return failed ? null : children;
  }
}

export default function ToolCard({ tool }) {
  if (tool.result === null || typeof tool.result !== "object") {
    return null;
  }
  return (
    <Guarded>
      <Drawing tool={tool} />
    </Guarded>
  );
}

function Drawing({ tool }) {
  const drawing = drawingOf(tool);
  return drawing && (
    <section class={`card card-${["weather", "currency"].includes(tool.name) ? tool.name : "links"}`}>
      {drawing}
      {tool.result.source && typeof tool.result.source === "string" && (
        <p class="card-source">{t("tool.source", { source: tool.result.source })}</p>
      )}
    </section>
  );
}
