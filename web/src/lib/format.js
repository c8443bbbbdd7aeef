/*
 * format.js - numbers, dates and sizes as people write them.
 *
 * By Intl; Kinyarwanda, of which most browsers know nothing, has its names here, after the Unicode CLDR.
 */

import { language, t } from "./i18n.js";

const RW_MONTHS = ["Mutarama", "Gashyantare", "Werurwe", "Mata", "Gicurasi", "Kamena", "Nyakanga", "Kanama", "Nzeri", "Ukwakira",
  "Ugushyingo", "Ukuboza"];
const RW_DAYS = ["ku cyumweru", "kuwa mbere", "kuwa kabiri", "kuwa gatatu", "kuwa kane", "kuwa gatanu", "kuwa gatandatu"];
const RW_DAYS_SHORT = ["cyu.", "mbe.", "kab.", "gtu.", "kan.", "gnu.", "gnd."];
const DAY_MS = 86_400_000;
const formatters = new Map();

/* The browser's own variant of the language, as en-GB. */
function locale() {
  const chosen = language();
  const variant = (globalThis.navigator?.languages ?? []).find((one) => one.toLowerCase().split("-")[0] === chosen);
  return variant ?? (chosen === "en" ? "en-GB" : chosen);
}

const isOwn = () => language() === "rw" && Intl.DateTimeFormat.supportedLocalesOf(["rw"]).length === 0;

function formatter(Kind, options) {
  const name = `${Kind.name} ${locale()} ${JSON.stringify(options)}`;
  if (!formatters.has(name)) {
    formatters.set(name, new Kind(isOwn() ? "en-GB" : locale(), options));
  }
  return formatters.get(name);
}

export const number = (value, options = {}) => formatter(Intl.NumberFormat, options).format(value);
export const money = (value) => number(value, { maximumFractionDigits: Math.abs(value) < 10 ? 4 : 2 });

export const time = (date) => formatter(Intl.DateTimeFormat, { hour: "2-digit", minute: "2-digit" }).format(date);

export function day(date, { weekday = false, year = false } = {}) {
  if (isOwn()) {
    const words = [`${date.getDate()} ${RW_MONTHS[date.getMonth()]}`, ...(year ? [date.getFullYear()] : [])].join(" ");
    return weekday ? `${RW_DAYS[date.getDay()]}, ${words}` : words;
  }
  return formatter(Intl.DateTimeFormat, {
    day: "numeric", month: "short", ...(weekday && { weekday: "short" }), ...(year && { year: "numeric" }),
  }).format(date);
}

export const weekday = (date) => (isOwn()
  ? RW_DAYS_SHORT[date.getDay()]
  : formatter(Intl.DateTimeFormat, { weekday: "short" }).format(date));

/* As short as can be, for the axis of a plot. */
export const shortDay = (date) => (isOwn()
  ? `${date.getDate()}/${date.getMonth() + 1}`
  : formatter(Intl.DateTimeFormat, { day: "numeric", month: "short" }).format(date));

export const moment = (date) => `${day(date, { year: true })}, ${time(date)}`;

/* Of a text as the server writes it; null for one that is no date. */
export function parseDate(text) {
  const date = new Date(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T12:00:00` : text ?? NaN);
  return Number.isNaN(date.getTime()) ? null : date;
}

/* Near dates by their distance: 14:05 today, "Yesterday", a day of the week, then the date. */
export function near(date, now = new Date()) {
  const midnight = new Date(now);
  midnight.setHours(0, 0, 0, 0);
  const age = midnight - date;
  if (age <= 0) {
    return time(date);
  }
  if (age <= DAY_MS) {
    return t("time.yesterday");
  }
  return age <= 6 * DAY_MS ? weekday(date) : day(date, { year: date.getFullYear() !== now.getFullYear() });
}

export function bytes(size) {
  const units = ["B", "KB", "MB", "GB"];
  const power = Math.min(Math.floor(Math.log(Math.max(size, 1)) / Math.log(1024)), units.length - 1);
  return `${number(size / 1024 ** power, { maximumFractionDigits: power === 0 ? 0 : 1 })} ${units[power]}`;
}

export const duration = (ms) => (ms < 1000
  ? `${number(Math.round(ms))} ms`
  : `${number(ms / 1000, { maximumFractionDigits: 1 })} s`);
