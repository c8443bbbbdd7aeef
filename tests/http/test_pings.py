"""While the model is silent, a comment goes out every PING_SECONDS."""
import time

import pytest

from client import END, text_of
from script import gate, repeat, reply, sleep, stream, text
from stack import wait_until

PINGS = 3


@pytest.fixture
def pinging(start_stack):
    return start_stack(PING_SECONDS=1)


def read_pings(exchange, began):
    """While the model is silent, for as long as the test wants: some, until two have come within less than 2.5 s; never more
    than one a second."""
    def apart():
        assert exchange.next_comment()[1] == ": ping"
        times = [when for when, _ in exchange.comments]
        gaps = [after - before for before, after in zip(times, times[1:])]
        return len(times) >= PINGS and min(gaps) < 2.5
    wait_until(apart, what="pings")
    assert len(exchange.comments) <= time.monotonic() - began + 1


def test_in_the_middle_of_the_answer(pinging, model):
    script = model.script(stream(text("one"), gate("go"), text("two")))
    began = time.monotonic()
    exchange = pinging.chat(script)
    assert exchange.next_text() == "one"
    read_pings(exchange, began)
    script.open("go")
    events = exchange.events()
    assert text_of(events) == "two" and events[-1] == "[DONE]"


def test_before_the_first_token(pinging, model):
    script = model.script(stream(gate("go"), text("one")))
    began = time.monotonic()
    exchange = pinging.chat(script)
    read_pings(exchange, began)
    script.open("go")
    events = exchange.events()
    assert text_of(events) == "one" and events[-1] == "[DONE]"


def waiting(events):
    return [event["bakame"]["waiting"] for event in events if "waiting" in (event.get("bakame") or {})]


@pytest.mark.parametrize("before", ["head", "first chunk"])
def test_who_waits_for_the_model_to_begin_is_told_once(pinging, model, before):
    """Whether it has not taken the question yet, or has and is silent."""
    head, *rest = stream(text("one"), sleep(3.5), text("two"))
    script = model.script([head, gate("go"), *rest] if before == "first chunk" else [gate("go"), head, *rest])
    exchange = pinging.chat(script)
    told = []
    while not waiting(told):
        told.append(exchange.next_event())
    assert "request_id" in told[0]["bakame"]
    script.open("go")
    events = exchange.events()
    assert text_of(events) == "onetwo" and events[-1] == "[DONE]" and not waiting(events[:-1])


def test_on_v1_only_comments_tell(pinging, model):
    script = model.script(stream(gate("go"), text("one")))
    exchange = pinging.v1(script, stream=True)
    told = []
    while len(exchange.comments) < PINGS:
        told.append(exchange.next())
        assert told[-1] is not END
    script.open("go")
    told += exchange.events()
    assert told[-1] == "[DONE]" and all("bakame" not in event for event in told if isinstance(event, dict))
    assert {words for _, words in exchange.comments} == {": ping"}


def test_none_while_the_model_speaks(pinging, model):
    steps = [step for number in range(12) for step in (text(str(number)), sleep(0.25))]

    def none():
        """Unless the model was held up for a second in the middle."""
        exchange = pinging.chat(model.script(stream(*steps)))
        assert exchange.events()[-1] == "[DONE]"
        return exchange.comments == []
    wait_until(none, what="an answer without pings")


def test_none_in_a_completion(pinging, model):
    exchange = pinging.chat(model.script([sleep(2.5), *reply()]), stream=False)
    assert exchange.json()["object"] == "chat.completion"


def test_comments_of_the_model_are_not_passed_on(pinging, model):
    exchange = pinging.chat(model.script(stream(text("one"), ["send", ": from the model\n\n"], text("two"))))
    assert text_of(exchange.events()) == "onetwo"
    assert exchange.comments == []


def test_comments_of_the_model_do_not_hold_up_pings(pinging, model):
    script = model.script(stream(text("one"), repeat(10_000, ["send", ": busy\n\n"], sleep(0.3))))
    exchange = pinging.chat(script)
    assert exchange.next_text() == "one"
    assert exchange.next_comment()[1] == ": ping"
