"""The model fails after the stream began: one error event, and then the end."""
import pytest

import replies
from contract import assert_ends_in_error
from client import text_of
from script import FIN, FINISH, RST, event, gate, send, sleep, stream, text
from stack import API_KEY

FAILURES = {
    "closed": [FIN],
    "reset": [RST],
    "ended without finish or [DONE]": [["end"]],
    "broken json": [send("data: {\"choices\": [{\n\n"), text("late")],
    "not an object": [send("data: 42\n\n"), text("late")],
    "an array": [send("data: []\n\n"), text("late")],
    "choices of a wrong type": [send('data: {"choices": 1}\n\n'), text("late")],
    "invalid utf-8": [send(b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"}}]}\n\n'), text("late")],
    "html in the middle": [send("<html><h1>Bad Gateway</h1></html>\n\n"), FIN],
    "cut inside an event": [send('data: {"id":"x","choices":[{"ind'), FIN],
    "bad transfer framing": [["raw", "zz\r\nnot a chunk\r\n"], sleep(0.05), FIN],
}


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("failure", FAILURES)
def test_one_error_event_and_the_end(stack, model, failure, path):
    script = model.script(stream(text("one"), text("two"), gate("heard"), *FAILURES[failure], finish=False))
    exchange = stack.chat(script, path=path, model="mock-model", stream=True)
    assert exchange.status == 200
    assert [exchange.next_text(), exchange.next_text()] == ["one", "two"]
    script.open("heard")
    events = exchange.events()
    assert text_of(events) == ""
    assert_ends_in_error(events, "upstream_error", exchange.header("X-Request-Id"))
    assert len(script.log()) == 1, "what was already said must not be asked for again"
    stack.assert_serves()


def test_an_error_that_the_model_streams_is_told_as_ours(stack, model):
    """Its words may speak of the operator's account: they are for the log."""
    script = model.script(stream(text("one"), event(replies.error(f"no quota left for {API_KEY}")), text("late"),
                                 finish=False))
    exchange = stack.chat(script)
    events = exchange.events()
    assert text_of(events) == "one"
    assert API_KEY not in assert_ends_in_error(events, "upstream_error", exchange.header("X-Request-Id"))


def test_an_error_as_the_first_event_is_told(stack, model):
    """Before anything was said, a status and an error event are both honest."""
    script = model.script(stream(event(replies.error("out of memory")), finish=False))
    exchange = stack.chat(script)
    if exchange.status == 200:
        assert_ends_in_error(exchange.events(), "upstream_error")
    else:
        assert exchange.status == 502
        assert exchange.json()["error"]["type"] == "upstream_error"


def test_a_missing_done_after_the_finish_never_passes_for_nothing(stack, model):
    """Some servers forget [DONE]; ours says it, or says that something is missing."""
    events = stack.chat(model.script(stream(text("one"), FINISH, finish=False))).events()
    assert text_of(events) == "one"
    if events[-1] != "[DONE]":
        assert_ends_in_error(events, "upstream_error")


def test_no_event_at_all_is_an_error(stack, model):
    exchange = stack.chat(model.script(stream(finish=False)))
    if exchange.status == 200:
        assert_ends_in_error(exchange.events(), "upstream_error")
    else:
        assert exchange.status == 502
