"""What is too big: refused or passed on piece by piece, never kept."""
import pytest

from client import text_of
from contract import assert_ends_in_error, assert_error
from script import DONE, FINISH, head, repeat, reply, send, stream, text
from worker import has_sanitizers

MIB = 1 << 20
# What a worker may have grown by for good after a giant came by.
KEPT_BYTES = 4 * MIB


@pytest.fixture
def bounded(stack):
    """A stack with one worker whose peak of memory must stay small."""
    stack.assert_serves()
    before = stack.worker.memory()
    yield stack
    stack.assert_serves()
    if not has_sanitizers():
        assert stack.worker.memory() - before < KEPT_BYTES


def test_a_line_of_10_mb_breaks_the_stream_not_the_worker(bounded, model):
    giant = [send('data: {"choices":[{"index":0,"delta":{"content":"'), ["fill", 10 * MIB, "x"],
             send('"}}]}\n\n')]
    events = bounded.chat(model.script(stream(text("one"), *giant))).events()
    assert text_of(events) == "one"
    assert_ends_in_error(events, "upstream_error")


def test_a_line_that_never_ends_is_cut_off(bounded, model):
    script = model.script(stream(text("one"), send("data: "), ["fill", 1 << 40, "x"]))
    assert_ends_in_error(bounded.chat(script).events(), "upstream_error")
    assert script.wait("gone")[0]["bytes_sent"] < 64 * MIB


def test_an_event_of_endless_lines_is_cut_off(bounded, model):
    script = model.script(stream(text("one"), ["fill", 1 << 40, "data: x\n"]))
    assert_ends_in_error(bounded.chat(script).events(), "upstream_error")
    script.wait("gone")


def test_an_event_of_64_kib_passes(stack, model):
    words = "x" * (64 * 1024)
    events = stack.chat(model.script(stream(text(words)))).events()
    assert text_of(events) == words and events[-1] == "[DONE]"


def test_a_stream_of_24_mb_passes_whole(bounded, model):
    block = "0123456789abcdef" * 512
    exchange = bounded.chat(model.script(stream(repeat(3072, text(block)))))
    received, last = 0, None
    while (event := exchange.next_event()) is not None:
        received, last = received + len(text_of([event])), event
    assert (received, last) == (3072 * len(block), "[DONE]")


def test_a_completion_of_1_mb_passes(stack, model):
    words = "0123456789abcdef" * 65536
    exchange = stack.chat(model.script(reply(pieces=[words])), stream=False)
    assert exchange.json()["choices"][0]["message"]["content"] == words


def test_an_endless_completion_is_502_and_cut_off(bounded, model):
    start = ["head", 200, [["Content-Type", "application/json"], ["Transfer-Encoding", "chunked"]]]
    script = model.script([start, send('{"choices":[{"message":{"content":"'), ["fill", 1 << 40, "x"]])
    assert_error(bounded.chat(script, stream=False), "upstream_error")
    script.wait("gone")


def test_an_endless_error_page_is_502_and_cut_off(bounded, model):
    start = ["head", 500, [["Content-Type", "text/html"], ["Transfer-Encoding", "chunked"]]]
    script = model.script([start, ["fill", 1 << 40, "x"]])
    assert_error(bounded.chat(script), "upstream_error")
    script.wait("gone")


def test_endless_headers_are_502_and_cut_off(bounded, model):
    script = model.script([["raw", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"],
                           repeat(1_000_000, ["raw", "X-Filler: " + "x" * 1000 + "\r\n"])])
    assert_error(bounded.chat(script), "upstream_error")
    script.wait("gone")


def test_64_kib_of_headers_are_borne(bounded, model):
    many = {f"X-Filler-{number}": "x" * 1000 for number in range(64)}
    script = model.script([head(**many), text("x"), FINISH, DONE])
    assert bounded.chat(script).events()[-1] == "[DONE]"
