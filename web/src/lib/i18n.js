/*
 * i18n.js - the words of the pages, in the person's language.
 *
 * A message is a text with {names} in it, or for what is counted an object of such texts, one for each
 * category that Intl.PluralRules knows in that language.  A language is loaded when it is chosen.
 */

import { signal } from "@preact/signals";

export const LANGUAGES = { rw: "Ikinyarwanda", en: "English", fr: "Français", sw: "Kiswahili" };

const LOADERS = {
  en: () => import("../lang/en.json"),
  fr: () => import("../lang/fr.json"),
  rw: () => import("../lang/rw.json"),
  sw: () => import("../lang/sw.json"),
};

const spoken = signal({ language: "en", messages: {}, plural: pluralOf("en") });

/* Browsers often have no rules for Kinyarwanda, and would take those of any other language. */
function pluralOf(language) {
  if (Intl.PluralRules.supportedLocalesOf([language]).length === 0) {
    return (count) => (count === 1 ? "one" : "other");
  }
  const rules = new Intl.PluralRules(language);
  return (count) => rules.select(count);
}

/* The first of the wishes ("fr-CA", "rw") that we speak, else English. */
export function chooseLanguage(wishes) {
  const known = wishes.map((wish) => String(wish).toLowerCase().split("-")[0]).find((language) => Object.hasOwn(LANGUAGES, language));
  return known ?? "en";
}

let wanted = "";

/* Throws when the words cannot be had; the page then goes on in the language that it has.  False when another
   one was wanted before they came. */
export async function speak(language) {
  wanted = language;
  const { default: messages } = await LOADERS[language]();
  if (wanted !== language) {
    return false;
  }
  spoken.value = { language, messages, plural: pluralOf(language) };
  if (globalThis.document) {
    document.documentElement.lang = language;
  }
  return true;
}

export const language = () => spoken.value.language;

export function fill(message, values) {
  return message.replaceAll(/\{(\w+)\}/g, (whole, name) => (values[name] === undefined ? whole : String(values[name])));
}

/* The message of that key; `values` fill its {names}, and values.count chooses between plural forms. */
export function t(key, values = {}) {
  const { messages, plural } = spoken.value;
  const message = messages[key];
  if (message === undefined) {
    return key;
  }
  const text = typeof message === "string" ? message : message[plural(values.count)] ?? message.other;
  return fill(text, values);
}

export const isKnown = (key) => Object.hasOwn(spoken.value.messages, key);
