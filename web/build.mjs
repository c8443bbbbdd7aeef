/*
 * build.mjs - makes dist/ from src/: what the front serves, and nothing else.
 *
 * Scripts and styles get names with a hash of their content, so that browsers may keep them for ever;
 * index.html names them and is asked for each time.  Texts are there compressed too (gzip_static).
 * The new dist/ takes the place of the old one only when it is whole.
 */

import { build } from "esbuild";
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const SRC = path.join(HERE, "src");
const OUT = path.join(HERE, "dist.new");
const DIST = path.join(HERE, "dist");
const COPIED = ["icon.svg", "manifest.webmanifest"];
const COMPRESSED = /\.(?:html|js|css|svg|txt|webmanifest)$/;
const COMPRESSED_MIN_BYTES = 300;

const SHARED = {
  absWorkingDir: HERE,
  bundle: true,
  charset: "utf8",
  legalComments: "none",        // LICENSES.txt has them
  logLevel: "warning",
  minify: true,
  target: ["es2022"],
};

/* Scripts and styles under names of their own.  Gives esbuild's account of what came of what. */
async function bundle(entryPoints, options = {}) {
  const { metafile } = await build({
    ...SHARED,
    ...options,
    assetNames: "assets/[name]-[hash]",
    chunkNames: "assets/[name]-[hash]",
    entryNames: "assets/[name]-[hash]",
    entryPoints,
    format: "esm",
    metafile: true,
    outdir: OUT,
    splitting: true,
  });
  return metafile;
}

const urlOf = (file) => `/${path.relative(path.basename(OUT), file)}`;

/* The worker that colours code: what it is made of, and its address. */
async function bundleHighlighter() {
  const entry = "src/lib/highlighter.js";
  const metafile = await bundle([entry]);
  const [file] = Object.entries(metafile.outputs).find(([, output]) => output.entryPoint === entry);
  return { metafile, url: urlOf(file) };
}

/* What a file cannot do without. */
function importedAtOnce(outputs, file) {
  const direct = outputs[file].imports.filter(({ kind }) => kind === "import-statement").map((one) => one.path);
  return direct.flatMap((one) => [one, ...importedAtOnce(outputs, one)]);
}

/* index.html, with the names that the bundles got: of an entry, and of all that it imports at once. */
async function writeIndex({ outputs }) {
  const named = new Map();
  const preloads = [];
  for (const [file, output] of Object.entries(outputs)) {
    if (output.entryPoint) {
      named.set(path.relative("src", output.entryPoint), urlOf(file));
    }
    if (output.entryPoint === "src/main.jsx") {
      preloads.push(...new Set(importedAtOnce(outputs, file)));
    }
  }
  const template = await readFile(path.join(SRC, "index.html"), "utf8");
  const html = template
    .replaceAll(/\{\{([^}]+)\}\}/g, (_, name) => {
      if (!named.has(name)) {
        throw new Error(`index.html names ${name}, of which nothing was made`);
      }
      return named.get(name);
    })
    .replace("</head>", `${preloads.map((file) => `<link rel="modulepreload" href="${urlOf(file)}">`).join("")}</head>`);
  await writeFile(path.join(OUT, "index.html"), html);
}

/* The service worker, which is told what to keep besides what index.html names: the languages, and the pages that load when asked for. */
async function writeServiceWorker({ outputs }) {
  const wanted = Object.keys(outputs).filter((file) => /^src\/(?:lang|pages)\//.test(outputs[file].entryPoint ?? ""));
  const files = new Set(wanted.flatMap((file) => [file, ...importedAtOnce(outputs, file)]));
  const shell = [...files].map(urlOf);
  await build({
    ...SHARED,
    define: { BAKAME_SHELL: JSON.stringify(shell.sort()) },
    entryPoints: ["src/sw.js"],
    outdir: OUT,
  });
}

/* The licences of all libraries that are part of what is served. */
async function writeLicences({ inputs }) {
  const packages = new Set(Object.keys(inputs).map((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1]).filter(Boolean));
  const texts = [];
  for (const name of [...packages].sort()) {
    const directory = path.join(HERE, "node_modules", name);
    const { version } = JSON.parse(await readFile(path.join(directory, "package.json"), "utf8"));
    const file = (await readdir(directory)).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) {
      throw new Error(`${name} says nothing of its licence`);
    }
    texts.push(`${name} ${version}\n\n${(await readFile(path.join(directory, file), "utf8")).trim()}\n`);
  }
  await writeFile(path.join(OUT, "LICENSES.txt"), texts.join(`\n${"-".repeat(72)}\n\n`));
}

async function filesIn(directory) {
  const entries = await readdir(directory, { withFileTypes: true });
  const nested = await Promise.all(entries.map((entry) => {
    const file = path.join(directory, entry.name);
    return entry.isDirectory() ? filesIn(file) : [file];
  }));
  return nested.flat().sort();
}

async function compress() {
  for (const file of await filesIn(OUT)) {
    const bytes = await readFile(file);
    if (COMPRESSED.test(file) && bytes.length >= COMPRESSED_MIN_BYTES) {
      await writeFile(`${file}.gz`, gzipSync(bytes, { level: 9 }));
    }
  }
}

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT);
const highlighter = await bundleHighlighter();
const metafile = await bundle(["src/main.jsx", "src/style.css"], {
  define: { BAKAME_HIGHLIGHTER: JSON.stringify(highlighter.url) },
  jsx: "automatic",
  jsxImportSource: "preact",
});
await writeIndex(metafile);
await writeServiceWorker(metafile);
await writeLicences({ inputs: { ...metafile.inputs, ...highlighter.metafile.inputs } });
for (const name of COPIED) {
  await cp(path.join(SRC, name), path.join(OUT, name));
}
await compress();
await rm(DIST, { recursive: true, force: true });
await rename(OUT, DIST);
