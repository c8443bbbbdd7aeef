import assert from "node:assert/strict";
import test from "node:test";

import { createSplitter } from "../src/lib/blocks.js";
import { htmlOf, itemHtml, lex } from "../src/lib/markdown.js";

const TEXT = [
  "# Title", "A paragraph\nof two lines with **bold**, `code` and $x^2$.", "- one\n- two\n\n  more of two\n- three", "1. first\n\n2. second\n\n3. third",
  "```js\nconst a = 1;\n\nconst b = 2;\n```", "> a quotation\n> goes on", "| a | b |\n|---|---|\n| 1 | 2 |", "$$\n\\int x\n$$", "Setext\n===", "<div>\nhtml\n</div>",
  "    indented\n\n    code", "The end.",
].join("\n\n");

const shown = (tokens) => tokens.filter(({ type }) => type !== "space").map((token) => htmlOf(token)).join("");

/* What is shown at the end of a text that came in pieces. */
function grow(pieces) {
  const splitter = createSplitter();
  const done = [];
  let text = "";
  let open = [];
  for (const piece of pieces) {
    text += piece;
    const split = splitter.split(text);
    done.push(...split.done);
    open = split.open;
    assert.equal([...done, ...open].map(({ raw }) => raw).join("").trimEnd(), text.trimEnd(), "something is missing");
  }
  return shown([...done, ...open]);
}

test("a text in pieces is shown as the whole, however it is cut", () => {
  const whole = shown(lex(TEXT));
  for (let size = 1; size <= 40; size++) {
    assert.equal(grow(TEXT.match(new RegExp(`[^]{1,${size}}`, "g"))), whole, `pieces of ${size}`);
  }
});

test("what is done is not read again", () => {
  const splitter = createSplitter();
  let text = "";
  let longest = 0;
  for (let i = 0; i < 2000; i++) {
    text += `Paragraph ${i} says something.\n\n`;
    splitter.split(text);
    longest = Math.max(longest, text.length - splitter.offset);
  }
  assert.ok(longest < 100, `${longest} characters were read again`);
});

test("an item of a list is what stands in it", () => {
  const [list] = lex("1. one *two*\n2. three\n   - four");
  assert.equal(itemHtml(list.items[0]), "one <em>two</em>");
  assert.equal(itemHtml(list.items[1]), "three<ul>\n<li>four</li>\n</ul>");
});

test("HTML is shown, not obeyed", () => {
  const html = shown(lex("<script>alert(1)</script>\n\na <img src=x onerror=alert(1)> b\n\n<!-- c -->"));
  assert.doesNotMatch(html, /<(?!\/?p\b)/);
  assert.match(html, /&lt;img src=x onerror=alert\(1\)&gt;/);
});

test("a picture of another place is a link", () => {
  assert.match(shown(lex("![a cat](https://example.org/cat.png)")), /^<p><a href="https:\/\/example\.org\/cat\.png"/);
  assert.match(shown(lex("![mine](/api/upload/abc-1)")), /^<p><img src="\/api\/upload\/abc-1" alt="mine"/);
  assert.match(shown(lex("![x](/api/upload/../auth/logout)")), /^<p><a /);
});

test("dollars are money where no formula hugs them", () => {
  assert.equal(shown(lex("It costs $5 to $10, or 7 $.")), "<p>It costs $5 to $10, or 7 $.</p>\n");
  assert.equal(shown(lex("So $a<b$ and \\(c\\).")), '<p>So <span class="math">a&lt;b</span> and <span class="math">c</span>.</p>\n');
  assert.equal(shown(lex("\\[\na\n\\]")), '<p><span class="math math-display">a</span></p>\n');
});

test("what is nested without end is shown as it was written", () => {
  for (const text of ["> ".repeat(20_000), "1. ".repeat(20_000), `${"> ".repeat(20_000)}and [so](https://a.example) on`]) {
    const tokens = lex(text);
    assert.equal(tokens.map(({ raw }) => raw).join(""), text);
    assert.doesNotMatch(shown(tokens), /<(?!\/?p\b)/);
  }
});

// marked 15 needs five minutes for it
test("what only looks like Markdown is read as well", { timeout: 120_000 }, () => {
  assert.equal(shown(lex("[a](".repeat(12_000))), `<p>${"[a](".repeat(12_000)}</p>\n`);
});
