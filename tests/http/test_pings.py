"""While the model is silent, a comment goes out every PING_SECONDS."""
import pytest

from client import text_of
from script import gate, reply, sleep, stream, text

SILENCE = 3.5


@pytest.fixture
def pinging(start_stack):
    return start_stack(PING_SECONDS=1)


def assert_pings(comments):
    assert {words for _, words in comments} == {": ping"}
    times = [when for when, _ in comments]
    assert 2 <= len(times) <= SILENCE + 1
    assert all(0.5 < after - before < 2.5 for before, after in zip(times, times[1:]))


def test_in_the_middle_of_the_answer(pinging, model):
    exchange = pinging.chat(model.script(stream(text("one"), sleep(SILENCE), text("two"))))
    events = exchange.events()
    assert text_of(events) == "onetwo" and events[-1] == "[DONE]"
    assert_pings(exchange.comments)


def test_before_the_first_token(pinging, model):
    exchange = pinging.chat(model.script(stream(sleep(SILENCE), text("one"))))
    assert exchange.events()[-1] == "[DONE]"
    assert_pings(exchange.comments)


def waiting(events):
    return [event["bakame"]["waiting"] for event in events if "waiting" in (event.get("bakame") or {})]


@pytest.mark.parametrize("before", ["head", "first chunk"])
def test_who_waits_for_the_model_to_begin_is_told_once(pinging, model, before):
    """Whether it has not taken the question yet, or has and is silent."""
    head, *rest = stream(text("one"), sleep(SILENCE), text("two"))
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
    exchange = pinging.v1(model.script(stream(sleep(SILENCE), text("one"))), stream=True)
    assert all("bakame" not in event for event in exchange.events()[:-1])
    assert_pings(exchange.comments)


def test_none_while_the_model_speaks(pinging, model):
    steps = [step for number in range(12) for step in (text(str(number)), sleep(0.25))]
    exchange = pinging.chat(model.script(stream(*steps)))
    assert exchange.events()[-1] == "[DONE]"
    assert exchange.comments == []


def test_none_in_a_completion(pinging, model):
    exchange = pinging.chat(model.script([sleep(2.5), *reply()]), stream=False)
    assert exchange.json()["object"] == "chat.completion"


def test_comments_of_the_model_are_not_passed_on(pinging, model):
    exchange = pinging.chat(model.script(stream(text("one"), ["send", ": from the model\n\n"], text("two"))))
    assert text_of(exchange.events()) == "onetwo"
    assert exchange.comments == []


def test_comments_of_the_model_do_not_hold_up_pings(pinging, model):
    chatter = [step for _ in range(10) for step in (["send", ": busy\n\n"], sleep(0.3))]
    script = model.script(stream(text("one"), *chatter, gate("go"), text("two")))
    exchange = pinging.chat(script)
    assert exchange.next_text() == "one"
    script.open("go")
    exchange.events()
    assert exchange.comments
