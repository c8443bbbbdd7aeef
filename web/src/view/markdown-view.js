/*
 * markdown-view.js - shows a Markdown text that grows, in an element of its own.
 *
 * What is done is never touched again (blocks.js).  The block that still grows is compared with what is
 * shown of it: code only gets the text that is new, of a list only the items that changed are made anew.
 */

import { createSplitter } from "../lib/blocks.js";
import { drawFormulas } from "../lib/formula.js";
import { highlight } from "../lib/highlight.js";
import { t } from "../lib/i18n.js";
import { htmlOf, itemHtml, lex } from "../lib/markdown.js";
import { sanitize } from "../lib/sanitize.js";

function make(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

const LANGUAGE = /^[\w+#.-]{1,30}/;
const languageOf = (token) => LANGUAGE.exec(token.lang ?? "")?.[0] ?? "";

/* --- code ------------------------------------------------------------------------------------ */

function makeCode(language) {
  const figure = make("figure", "code");
  const head = make("figcaption", "code-head");
  const copy = make("button", "quiet copy-code", t("copy"));
  copy.type = "button";
  head.append(make("span", "code-language", language || t("code.plain")), copy);
  const pre = make("pre", "");
  pre.tabIndex = 0;             // it scrolls sideways
  pre.setAttribute("role", "region");
  pre.setAttribute("aria-label", language || t("code.plain"));
  const code = make("code", "");
  const text = document.createTextNode("");
  code.append(text);
  pre.append(code);
  figure.append(head, pre);
  return { element: figure, code, text };
}

function showCode(shown, token) {
  const language = languageOf(token);
  let code = shown;
  if (code?.kind !== "code" || code.language !== language) {
    code = { kind: "code", language, ...makeCode(language) };
  }
  const { data } = code.text;
  if (token.text.startsWith(data)) {
    code.text.appendData(token.text.slice(data.length));
  } else {
    code.text.data = token.text;
  }
  return code;
}

/* --- lists ----------------------------------------------------------------------------------- */

function makeItem(html) {
  const item = document.createElement("li");
  item.append(sanitize(html));
  return item;
}

function showList(shown, token) {
  const kind = `list ${token.ordered} ${token.start}`;
  let list = shown;
  if (list?.kind !== kind) {
    const element = document.createElement(token.ordered ? "ol" : "ul");
    if (token.ordered && token.start !== 1) {
      element.start = token.start;
    }
    list = { kind, element, items: [] };
  }
  token.items.forEach((item, i) => {
    const html = itemHtml({ ...item, loose: token.loose });
    if (list.items[i] !== html) {
      const made = makeItem(html);
      if (i < list.items.length) {
        list.element.children[i].replaceWith(made);
      } else {
        list.element.append(made);
      }
      list.items[i] = html;
    }
  });
  while (list.items.length > token.items.length) {
    list.items.pop();
    list.element.lastElementChild.remove();
  }
  return list;
}

/* --- the rest -------------------------------------------------------------------------------- */

function wrapTable(table) {
  const wrapped = make("div", "table");
  wrapped.tabIndex = 0;
  wrapped.setAttribute("role", "region");
  wrapped.setAttribute("aria-label", t("table"));
  wrapped.append(table);
  return wrapped;
}

function showOther(shown, token) {
  const html = htmlOf(token);
  if (shown?.html === html) {
    return shown;
  }
  const made = [...sanitize(html).children].map((child) => (child.tagName === "TABLE" ? wrapTable(child) : child));
  const element = made.length === 1 ? made[0] : make("div", "");
  if (made.length !== 1) {
    element.append(...made);
  }
  return { kind: "other", html, element };
}

function show(shown, token) {
  switch (token.type) {
  case "code":
    return showCode(shown, token);
  case "list":
    return showList(shown, token);
  default:
    return showOther(shown, token);
  }
}

/* The block will not change any more: what took too long to do at each step is done now. */
function finish(block) {
  if (block.kind === "code") {
    highlight(block.code, block.language);
    return;
  }
  for (const code of block.element.querySelectorAll("pre > code")) {     // within a list or a quotation
    const language = /language-(\S+)/.exec(code.className)?.[1] ?? "";
    const whole = makeCode(language);
    whole.text.data = code.textContent;
    code.parentElement.replaceWith(whole.element);
    highlight(whole.code, language);
  }
  drawFormulas(block.element);
}

const isShown = ({ type }) => type !== "space" && type !== "def";

/*
 * A view in `root`, which nobody else may change.
 *   update(text)   the text grew to this
 *   end(text)      and this is all of it
 */
export function createMarkdownView(root) {
  let splitter = createSplitter();
  let open = [];                // of what may change, the blocks as shown
  let hasDefinitions = false;

  function place(tokens, old) {
    const blocks = tokens.filter(isShown).map((token, i) => show(old[i], token));
    const kept = new Set(blocks.map(({ element }) => element));
    for (const { element } of old) {
      if (!kept.has(element)) {
        element.remove();
      }
    }
    let next = null;
    for (const { element } of [...blocks].reverse()) {
      if (element.parentNode !== root || element.nextSibling !== next) {
        root.insertBefore(element, next);
      }
      next = element;
    }
    return blocks;
  }

  function update(text) {
    const tokens = splitter.split(text);
    hasDefinitions ||= [...tokens.done, ...tokens.open].some(({ type }) => type === "def");
    const blocks = place([...tokens.done, ...tokens.open], open);
    const done = tokens.done.filter(isShown).length;
    blocks.slice(0, done).forEach(finish);
    open = blocks.slice(done);
  }

  function end(text) {
    update(text);
    open.forEach(finish);
    open = [];
    if (hasDefinitions) {       // they hold for what stands before them too
      root.replaceChildren();
      place(lex(text), []).forEach(finish);
    }
    splitter = null;
  }

  return { update, end };
}
