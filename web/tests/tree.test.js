import assert from "node:assert/strict";
import test from "node:test";

import { asMarkdown, fileNameOf } from "../src/lib/export.js";
import { addNode, chooseVersion, createTree, pathOf, removeNode, versionOf } from "../src/lib/tree.js";
import { hrefOf, parseRoute } from "../src/lib/router.js";

const node = (tree, key, parent, role = "user") => addNode(tree, { key, parent, role });
const keys = (tree, end) => pathOf(tree, end).map(({ key }) => key);

test("the newest version is shown, and the others are a step away", () => {
  const tree = createTree();
  const question = node(tree, 1, null);
  node(tree, 2, 1);
  const edited = node(tree, 3, null);
  node(tree, 4, 3);
  assert.deepEqual(keys(tree), [3, 4]);
  assert.deepEqual(versionOf(tree, edited), { version: 2, versions: 2 });
  chooseVersion(tree, edited, -1);
  assert.deepEqual(keys(tree), [1, 2]);
  chooseVersion(tree, question, -1);
  assert.deepEqual(keys(tree), [1, 2], "there is none before the first");
});

test("the path to a message is told whatever is shown", () => {
  const tree = createTree();
  node(tree, 1, null);
  const answer = node(tree, 2, 1);
  node(tree, 3, null);
  assert.deepEqual(keys(tree, answer), [1, 2]);
});

test("a version that is taken away leaves the one before it", () => {
  const tree = createTree();
  node(tree, 1, null);
  const second = node(tree, 2, null);
  removeNode(tree, second);
  assert.deepEqual(keys(tree), [1]);
  removeNode(tree, tree.nodes.get(1));
  assert.deepEqual(keys(tree), []);
});

test("code within an exported answer does not end the file's own fences", () => {
  const tools = [{ name: "x", arguments: {}, status: "done", result: { text: "```" } }];
  const text = asMarkdown({ title: "T", messages: [{ role: "assistant", text: " Hi ", tools, date: "today", attachments: [{ name: "a.pdf" }] }] }, { assistant: "B" });
  assert.match(text, /^# T\n\n## B, today\n\n```json\n[^]*\n```\n\n- 📎 a\.pdf\n\nHi\n$/);
});

test("a file's name has letters of any language and nothing else", () => {
  assert.equal(fileNameOf("../Ikirere: i Kigali? é", "md"), "Ikirere-i-Kigali-é.md");
  assert.equal(fileNameOf("…", "json"), "bakame.json");
});

test("the address names the page", () => {
  assert.deepEqual(parseRoute("#/c/a%2Fb"), { name: "c", part: "a/b" });
  assert.deepEqual(parseRoute(""), { name: "", part: "" });
  assert.deepEqual(parseRoute("#/%E0%A4%A"), { name: "%E0%A4%A", part: "" });
  assert.equal(hrefOf("c", "a/b"), "#/c/a%2Fb");
  assert.equal(hrefOf(), "#/");
});
