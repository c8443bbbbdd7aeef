/*
 * prefs.js - the person's language and theme, kept in this browser.
 */

import { signal } from "@preact/signals";
import { chooseLanguage, speak } from "../lib/i18n.js";
import { lasting } from "../lib/storage.js";

export const THEMES = ["system", "light", "dark"];

export const theme = signal(THEMES.includes(lasting.get("theme")) ? lasting.get("theme") : "system");
export const languageChoice = signal(lasting.get("language"));

export function showTheme() {
  document.documentElement.dataset.theme = theme.value;
}

export function setTheme(choice) {
  theme.value = choice;
  lasting.set("theme", choice === "system" ? null : choice);
  showTheme();
}

export const wantedLanguage = () => chooseLanguage([...(languageChoice.value ? [languageChoice.value] : []), ...navigator.languages]);

export async function setLanguage(choice) {
  if (await speak(choice)) {
    languageChoice.value = choice;
    lasting.set("language", choice);
  }
}
