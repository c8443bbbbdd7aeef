/*
 * results.js - what tools found, made fit to be drawn.
 *
 * Results come from other places by way of the server: of any shape, in the worst case.  What is not of the
 * shape that a card needs is left out; null says that there is nothing to draw.
 */

import { parseDate } from "./format.js";

const ROWS_MAX = 6;
const POINTS_MAX = 500;

const textOf = (value) => (typeof value === "string" || typeof value === "number" ? String(value).trim() : "");
const numberOf = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
const objectOf = (value) => (value !== null && typeof value === "object" && !Array.isArray(value) ? value : {});
const rowsOf = (value) => (Array.isArray(value) ? value.map(objectOf) : []);

/* An address that a person may be sent to, else "". */
export function linkOf(value) {
  try {
    const { protocol, href } = new URL(textOf(value));
    return protocol === "https:" || protocol === "http:" ? href : "";
  } catch {
    return "";
  }
}

/* Lines over time: {times: [s], lines: [[number|null]]}, or null where there are too few points. */
function seriesOf(rows, timeName, names) {
  const points = rows.map((row) => [parseDate(textOf(row[timeName])), ...names.map((name) => numberOf(row[name]))])
    .filter(([at, ...values]) => at !== null && values.some((value) => value !== null)).slice(0, POINTS_MAX)
    .sort((a, b) => a[0] - b[0]);
  return points.length < 3 ? null : {
    times: points.map(([at]) => at.getTime() / 1000),
    lines: names.map((_, i) => points.map((point) => point[i + 1])),
  };
}

export function weatherOf(result) {
  const current = objectOf(result.current);
  const units = objectOf(result.units);
  const days = rowsOf(result.days ?? result.forecast).slice(0, 7).map((row) => ({
    date: parseDate(textOf(row.date)), conditions: textOf(row.conditions), min: numberOf(row.temperature_min), max: numberOf(row.temperature_max),
    chance: numberOf(row.precipitation_chance_percent),
  })).filter(({ date, max }) => date !== null && max !== null);
  const temperature = numberOf(current.temperature);
  if (temperature === null && days.length === 0) {
    return null;
  }
  return {
    place: textOf(result.location), temperature, conditions: textOf(current.conditions), feelsLike: numberOf(current.feels_like),
    humidity: numberOf(current.humidity_percent), wind: numberOf(current.wind_speed), degree: textOf(units.temperature) || "°C",
    windUnit: textOf(units.wind_speed), days, series: seriesOf(rowsOf(result.hours), "time", ["temperature"])
      ?? seriesOf(rowsOf(result.days ?? result.forecast), "date", ["temperature_max", "temperature_min"]),
  };
}

export function currencyOf(result) {
  const converted = numberOf(result.result);
  const rate = numberOf(result.rate);
  const history = objectOf(result.history);
  return converted === null && rate === null ? null : {
    amount: numberOf(result.amount) ?? 1, from: textOf(result.from), to: textOf(result.to), result: converted, rate,
    date: parseDate(textOf(result.rate_date)), series: seriesOf(rowsOf(result.series), "date", ["rate"]),
    since: parseDate(textOf(objectOf(history.first).date)), percent: numberOf(history.change_percent),
  };
}

/* Articles, pages of the Web, and places are alike: a name, where it leads, and a few words. */
export function linksOf(result) {
  const rows = rowsOf(result.articles ?? result.results ?? result.places).slice(0, ROWS_MAX).map((row) => ({
    title: textOf(row.title ?? row.name), url: linkOf(row.url ?? row.website),
    about: [textOf(row.source), textOf(row.type).replaceAll("_", " ")].filter(Boolean).join(", "), date: parseDate(textOf(row.published_at ?? row.date)),
    text: textOf(row.summary ?? row.snippet ?? row.content ?? row.address),
    distance: numberOf(row.distance_m),
  })).filter(({ title }) => title !== "");
  return rows.length > 0 ? rows : null;
}
