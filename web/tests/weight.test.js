// What the first screen costs over the wire: index.html and all that it names, and one language.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const FIRST_LOAD_MAX_BYTES = 100 * 1024;

const read = (name) => readFileSync(path.join(DIST, name));
const sizeOf = (name) => gzipSync(read(name), { level: 9 }).length;

test("the first load is small", () => {
  const html = read("index.html").toString();
  const named = [...html.matchAll(/(?:src|href)="\/([^"]+)"/g)].map((match) => match[1]);
  const languages = readdirSync(path.join(DIST, "assets")).filter((name) => /^(?:en|fr|rw|sw)-\w+\.js$/.test(name)).map((name) => `assets/${name}`);
  assert.equal(languages.length, 4);
  const files = ["index.html", ...new Set(named)];
  const bytes = files.reduce((sum, name) => sum + sizeOf(name), 0) + Math.max(...languages.map(sizeOf));
  assert.ok(bytes <= FIRST_LOAD_MAX_BYTES, `${bytes} bytes`);
  process.stdout.write(`# first load: ${bytes} bytes compressed, of at most ${FIRST_LOAD_MAX_BYTES}\n`);
});

test("what is heavy is loaded when it is needed", () => {
  const html = read("index.html").toString();
  const main = read(/"\/(assets\/main-[^"]+\.js)"/.exec(html)[1]).toString();
  assert.match(main, /"\/assets\/highlighter-\w+\.js"/);
  for (const name of ["katex", "admin", "account", "sign", "tool-card"]) {
    assert.ok(new RegExp(`import\\("\\./${name}-\\w+\\.js"\\)`).test(main), name);
    assert.doesNotMatch(html, new RegExp(`/${name}-\\w+\\.js`), name);
  }
});

test("nothing in what is served is of another place, or needs what the policy forbids", () => {
  const html = read("index.html").toString();
  assert.doesNotMatch(html, /https?:|<script(?! type="module" src)|<style|\son\w+=|\sstyle=/);
  const styles = read(/"\/(assets\/style-[^"]+\.css)"/.exec(html)[1]).toString();
  assert.doesNotMatch(styles, /url\(|@import/);
  for (const name of readdirSync(path.join(DIST, "assets")).filter((one) => one.endsWith(".js"))) {
    assert.ok(!/\beval\(|new Function\(/.test(read(`assets/${name}`).toString()), name);
  }
});

test("each text is there compressed, and is the same", async () => {
  const { gunzipSync } = await import("node:zlib");
  for (const name of ["index.html", "sw.js", ...readdirSync(path.join(DIST, "assets")).map((one) => `assets/${one}`).filter((one) => /\.(?:js|css)$/.test(one))]) {
    const plain = read(name);
    if (plain.length >= 300) {
      assert.deepEqual(gunzipSync(read(`${name}.gz`)), plain, name);
    }
  }
});

test("the licences of all libraries are served with them", () => {
  const text = read("LICENSES.txt").toString();
  for (const name of ["preact", "@preact/signals", "marked", "dompurify", "highlight.js", "katex", "uplot"]) {
    assert.match(text, new RegExp(`^${name.replaceAll(".", "\\.")} \\d`, "m"));
  }
});
