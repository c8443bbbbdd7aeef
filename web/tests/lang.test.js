import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

import { chooseLanguage, fill, LANGUAGES } from "../src/lib/i18n.js";

const SRC = fileURLToPath(new URL("../src", import.meta.url));
const read = (language) => JSON.parse(readFileSync(path.join(SRC, "lang", `${language}.json`), "utf8"));
const languages = Object.fromEntries(Object.keys(LANGUAGES).map((language) => [language, read(language)]));
const sources = readdirSync(SRC, { recursive: true }).filter((name) => /\.jsx?$/.test(name))
  .map((name) => readFileSync(path.join(SRC, name), "utf8"));

const textsOf = (message) => (typeof message === "string" ? [message] : Object.values(message));
const namesIn = (message) => [...new Set(textsOf(message).flatMap((text) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1])))].sort();

test("each message is there in each language", () => {
  for (const [language, messages] of Object.entries(languages)) {
    assert.deepEqual(Object.keys(messages).sort(), Object.keys(languages.en).sort(), language);
  }
});

test("no message is empty, and each fills in what the English one does", () => {
  for (const [language, messages] of Object.entries(languages)) {
    for (const [key, message] of Object.entries(messages)) {
      assert.ok(textsOf(message).every((text) => text.trim() !== ""), `${language} ${key}`);
      assert.deepEqual(namesIn(message), namesIn(languages.en[key]), `${language} ${key}`);
      assert.equal(typeof message, typeof languages.en[key], `${language} ${key}`);
    }
  }
});

test("what is counted has a form for each category of the language", () => {
  for (const [language, messages] of Object.entries(languages)) {
    const known = Intl.PluralRules.supportedLocalesOf([language]).length > 0;
    const wanted = known ? new Intl.PluralRules(language).resolvedOptions().pluralCategories : ["one", "other"];
    for (const [key, message] of Object.entries(messages).filter(([, one]) => typeof one !== "string")) {
      // Of millions of something, which French tells apart, there is none here.
      const missing = wanted.filter((category) => category !== "many" && !Object.hasOwn(message, category));
      assert.deepEqual(missing, [], `${language} ${key}`);
    }
  }
});

test("each message that the pages ask for is there, and each that is there is asked for", () => {
  const source = sources.join("\n");
  const quoted = new Set([...source.matchAll(/"([a-z][\w.-]*)"/gi)].map((match) => match[1]));
  const families = [...source.matchAll(/\b(?:t|isKnown)\(`([\w.]+)\.\$\{/g)].map((match) => `${match[1]}.`);
  for (const match of source.matchAll(/\bt\("([^"]+)"/g)) {
    assert.ok(Object.hasOwn(languages.en, match[1]), `not there: ${match[1]}`);
  }
  const unused = Object.keys(languages.en).filter((key) => !quoted.has(key) && !families.some((family) => key.startsWith(family)));
  assert.deepEqual(unused, []);
});

test("the first of the wishes that is spoken is chosen, else English", () => {
  assert.equal(chooseLanguage(["de-CH", "fr-CA", "en"]), "fr");
  assert.equal(chooseLanguage(["RW"]), "rw");
  assert.equal(chooseLanguage(["constructor", "de"]), "en");
  assert.equal(chooseLanguage([]), "en");
});

test("values are filled in as they are", () => {
  assert.equal(fill("{a} and {b}, {c}", { a: "$&", b: 2 }), "$& and 2, {c}");
});
