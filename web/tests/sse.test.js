import assert from "node:assert/strict";
import test from "node:test";

import { createSseReader } from "../src/lib/sse.js";

const encode = (text) => new TextEncoder().encode(text);

function readPieces(pieces) {
  const events = [];
  const comments = [];
  const reader = createSseReader((data) => events.push(data), (comment) => comments.push(comment));
  for (const piece of pieces) {
    reader.feed(piece);
  }
  return { events, comments };
}

const STREAM = encode('data: {"a":"é€🐇"}\n\n: ping\r\n\r\ndata:one\rdata: two\r\rid: 7\nretry: 3\nevent: x\ndata\n\r\ndata: [DONE]\n\n');
const EVENTS = ['{"a":"é€🐇"}', "one\ntwo", "", "[DONE]"];

test("a stream in one piece", () => {
  assert.deepEqual(readPieces([STREAM]), { events: EVENTS, comments: ["ping"] });
});

test("a stream cut at every byte is the same stream", () => {
  for (let cut = 0; cut <= STREAM.length; cut++) {
    const read = readPieces([STREAM.subarray(0, cut), STREAM.subarray(cut)]);
    assert.deepEqual(read, { events: EVENTS, comments: ["ping"] }, `cut at byte ${cut}`);
  }
});

test("a stream that comes byte by byte is the same stream", () => {
  const read = readPieces(Array.from(STREAM, (byte) => Uint8Array.of(byte)));
  assert.deepEqual(read, { events: EVENTS, comments: ["ping"] });
});

test("a byte order mark is no part of the first field", () => {
  assert.deepEqual(readPieces([encode("\uFEFFdata: x\n\n")]).events, ["x"]);
});

test("an event is told only when its empty line came", () => {
  assert.deepEqual(readPieces([encode("data: whole\n\ndata: half\n")]).events, ["whole"]);
});

test("only one space after the colon is taken away", () => {
  assert.deepEqual(readPieces([encode("data:  x \n\n")]).events, [" x "]);
});

test("an event without data is none", () => {
  assert.deepEqual(readPieces([encode("event: x\n\nid: 1\n\n\n\n")]).events, []);
});

test("a line or an event without end is refused", () => {
  const reader = createSseReader(() => {});
  const piece = encode("x".repeat(300_000));
  assert.throws(() => {
    for (let i = 0; i < 5; i++) {
      reader.feed(piece);
    }
  }, RangeError);
  const manyLines = createSseReader(() => {});
  const lines = encode(`data: ${"y".repeat(1000)}\n`.repeat(300));
  assert.throws(() => {
    for (let i = 0; i < 5; i++) {
      manyLines.feed(lines);
    }
  }, RangeError);
});

test("many long events are no problem", () => {
  const event = encode(`data: ${"z".repeat(500_000)}\n\n`);
  assert.equal(readPieces([event, event, event, event]).events.length, 4);
});
