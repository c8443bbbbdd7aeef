/*
 * sanitize.js - the last gate before the document: only what Markdown makes passes.
 */

import DOMPurify from "dompurify";

const CONFIG = {
  ALLOWED_TAGS: ["a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol", "p", "pre", "span",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"],
  ADD_URI_SAFE_ATTR: ["align", "class", "loading", "start", "title"],
  ALLOWED_ATTR: ["align", "alt", "class", "href", "loading", "src", "start", "title"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|tel:|#|\/(?![/\\]))/i,
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};
const OUR_CLASS = /^(?:language-[\w+#.-]+|math|math math-display|raw)$/;

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.hasAttribute("class") && !OUR_CLASS.test(node.className)) {
    node.removeAttribute("class");
  }
  if (node.tagName === "A") {
    node.target = "_blank";
    node.rel = "noopener noreferrer nofollow";
  }
});

export const sanitize = (html) => DOMPurify.sanitize(html, CONFIG);
