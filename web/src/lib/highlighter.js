/*
 * highlighter.js - colours code by the library highlight.js, as a worker: see highlight.js.
 *
 * Asked { language, source }, it says {} when the language is loaded and the work begins, and then { html }; or
 * { html: "" } where the language is not known or cannot be loaded.  Each language is loaded when it is met.
 */

const LANGUAGES = {
  bash: () => import("highlight.js/lib/languages/bash"),
  c: () => import("highlight.js/lib/languages/c"),
  cpp: () => import("highlight.js/lib/languages/cpp"),
  csharp: () => import("highlight.js/lib/languages/csharp"),
  css: () => import("highlight.js/lib/languages/css"),
  diff: () => import("highlight.js/lib/languages/diff"),
  dockerfile: () => import("highlight.js/lib/languages/dockerfile"),
  go: () => import("highlight.js/lib/languages/go"),
  ini: () => import("highlight.js/lib/languages/ini"),
  java: () => import("highlight.js/lib/languages/java"),
  javascript: () => import("highlight.js/lib/languages/javascript"),
  json: () => import("highlight.js/lib/languages/json"),
  kotlin: () => import("highlight.js/lib/languages/kotlin"),
  lua: () => import("highlight.js/lib/languages/lua"),
  makefile: () => import("highlight.js/lib/languages/makefile"),
  nginx: () => import("highlight.js/lib/languages/nginx"),
  perl: () => import("highlight.js/lib/languages/perl"),
  php: () => import("highlight.js/lib/languages/php"),
  python: () => import("highlight.js/lib/languages/python"),
  r: () => import("highlight.js/lib/languages/r"),
  ruby: () => import("highlight.js/lib/languages/ruby"),
  rust: () => import("highlight.js/lib/languages/rust"),
  sql: () => import("highlight.js/lib/languages/sql"),
  swift: () => import("highlight.js/lib/languages/swift"),
  typescript: () => import("highlight.js/lib/languages/typescript"),
  xml: () => import("highlight.js/lib/languages/xml"),
  yaml: () => import("highlight.js/lib/languages/yaml"),
};
const ALIASES = { "c++": "cpp", "c#": "csharp", cs: "csharp", docker: "dockerfile", golang: "go", h: "c", html: "xml", js: "javascript",
  jsx: "javascript", kt: "kotlin", make: "makefile", mjs: "javascript", patch: "diff", pl: "perl", py: "python", python3: "python",
  rb: "ruby", rs: "rust", sh: "bash", shell: "bash", svg: "xml", toml: "ini", ts: "typescript", tsx: "typescript", yml: "yaml", zsh: "bash" };

async function load(name) {
  const language = Object.hasOwn(ALIASES, name) ? ALIASES[name] : name;
  if (!Object.hasOwn(LANGUAGES, language)) {
    return null;
  }
  try {
    const [{ default: core }, { default: grammar }] = await Promise.all([import("highlight.js/lib/core"), LANGUAGES[language]()]);
    core.registerLanguage(language, grammar);
    return { core, language };
  } catch {
    return null;                // offline, most likely
  }
}

addEventListener("message", async ({ data: { language: name, source } }) => {
  const loaded = await load(name);
  if (!loaded) {
    postMessage({ html: "" });
    return;
  }
  postMessage({});
  const { core, language } = loaded;
  postMessage({ html: core.highlight(source, { language, ignoreIllegals: true }).value });      // escapes all that is not its own
});
