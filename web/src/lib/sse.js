/*
 * sse.js - reads a text/event-stream as it arrives.
 *
 * The bytes may be cut anywhere, inside a character too.  Follows the WHATWG HTML standard,
 * "Server-sent events", for what a chat needs: data, comments, and CR, LF or CRLF ends of line.
 */

const EVENT_MAX_CHARS = 1024 * 1024;

/* Give feed() the bytes; on_event is called with the data of each complete event and on_comment,
   where given, with each comment.  Throws RangeError when an event grows past EVENT_MAX_CHARS.
   What stands after the last empty line is no event and is dropped, as the standard says. */
export function createSseReader(onEvent, onComment = () => {}) {
  const decoder = new TextDecoder("utf-8");     // strips a byte order mark
  let line = "";
  let data = [];
  let dataChars = 0;
  let afterCr = false;          // an LF that comes next belongs to the same end of line

  function endLine() {
    const ended = line;
    line = "";
    if (ended === "") {
      const event = data;
      data = [];
      dataChars = 0;
      if (event.length > 0) {
        onEvent(event.join("\n"));
      }
      return;
    }
    const colon = ended.indexOf(":");
    if (colon === 0) {
      onComment(ended.slice(1).trimStart());
      return;
    }
    const field = colon < 0 ? ended : ended.slice(0, colon);
    if (field === "data") {
      const value = colon < 0 ? "" : ended.slice(colon + 1);
      data.push(value.startsWith(" ") ? value.slice(1) : value);
      dataChars += value.length;
    }
  }

  function takeText(text) {
    let start = 0;
    if (afterCr && text.startsWith("\n")) {
      start = 1;
    }
    if (text.length > 0) {
      afterCr = false;
    }
    const lineEnd = /\r\n|\r|\n/g;
    lineEnd.lastIndex = start;
    for (let match = lineEnd.exec(text); match !== null; match = lineEnd.exec(text)) {
      line += text.slice(start, match.index);
      start = lineEnd.lastIndex;
      afterCr = match[0] === "\r" && start === text.length;
      endLine();
    }
    line += text.slice(start);
    if (line.length + dataChars > EVENT_MAX_CHARS) {
      throw new RangeError("an event of the stream is too long");
    }
  }

  return {
    feed(bytes) {
      takeText(decoder.decode(bytes, { stream: true }));
    },
  };
}
