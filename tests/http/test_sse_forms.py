"""Every form of the event-stream format that a model may use gives the same answer.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""
import json

import pytest

import replies
from client import text_of
from script import head, send

WORDS = ["Light", " rain – ", "🌧", " tomorrow"]
CHUNKS = [replies.text_chunk(word) for word in WORDS] + [replies.chunk(finish_reason="stop")]


def whole(line_end="\n", before="", prefix="data: "):
    """The answer as bytes of an event stream."""
    lines = [json.dumps(chunk, ensure_ascii=False) for chunk in CHUNKS] + ["[DONE]"]
    return "".join(before + prefix + line + line_end * 2 for line in lines)


def multi_line():
    """Each event's JSON in three data lines, which the reader joins with line feeds."""
    events = []
    for chunk in CHUNKS:
        start, separator, end = json.dumps(chunk).partition(', "choices": ')
        events.append(f"data: {start}\ndata:{separator}\ndata: {end}\n\n")
    return "".join(events) + "data: [DONE]\n\n"


FORMS = {
    "line feeds": whole("\n"),
    "carriage returns and line feeds": whole("\r\n"),
    "carriage returns": whole("\r"),
    "byte order mark": "\ufeff" + whole(),
    "no space after the colon": whole(prefix="data:"),
    "comments": ": hello\n\n" + whole(before=": keep-alive\n:\n"),
    "event, id, retry and unknown fields": whole(before="event: message\nid: 7\nretry: 3000\nfoo: bar\nbaz\n"),
    "blank lines between": "\n\n\n" + whole(before="\n\n"),
    "several data lines": multi_line(),
}


@pytest.mark.parametrize("form", FORMS)
def test_form_gives_the_answer(shared_stack, model, form):
    script = model.script([head(), send(FORMS[form])])
    events = shared_stack.chat(script).events()
    assert text_of(events) == "".join(WORDS)
    assert events[-1] == "[DONE]"


@pytest.mark.parametrize("form", ["line feeds", "carriage returns and line feeds", "carriage returns",
                                  "byte order mark", "several data lines"])
def test_form_gives_the_answer_when_every_byte_travels_alone(shared_stack, model, form):
    script = model.script([["bytewise", 0], head(), send(FORMS[form])])
    events = shared_stack.chat(script).events()
    assert text_of(events) == "".join(WORDS)
    assert events[-1] == "[DONE]"


@pytest.mark.parametrize("size", [2, 3, 7, 1000])
def test_answer_does_not_depend_on_where_it_is_split(shared_stack, model, size):
    data = whole("\r\n").encode()
    steps = [send(data[i:i + size]) for i in range(0, len(data), size)]
    events = shared_stack.chat(model.script([head(), *steps])).events()
    assert text_of(events) == "".join(WORDS)


@pytest.mark.parametrize("content_type", ["text/event-stream; charset=utf-8", "Text/Event-Stream"])
def test_content_type_may_have_any_legal_spelling(shared_stack, model, content_type):
    events = shared_stack.chat(model.script([head(content_type=content_type), send(whole())])).events()
    assert text_of(events) == "".join(WORDS)


@pytest.mark.parametrize("framing", [[], [["Connection", "close"]]])
def test_a_body_without_framing_ends_with_the_connection(shared_stack, model, framing):
    start = ["head", 200, [["Content-Type", "text/event-stream"], *framing]]
    events = shared_stack.chat(model.script([start, send(whole())])).events()
    assert text_of(events) == "".join(WORDS) and events[-1] == "[DONE]"
