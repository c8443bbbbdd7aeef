"""A silent model does not hold a client for ever."""
import json
import time

import pytest

from client import text_of
from contract import assert_ends_in_error, assert_error, assert_retry_after
from disturbance import Disturbance
from script import HANG, head, reply, send, sleep, stream, text
from stack import at_best, wait_until

import replies


@pytest.fixture
def impatient(start_stack):
    """A completion's first byte comes when the whole answer is thought out: it has a time-out of its own."""
    return start_stack(OPENAI_FIRST_BYTE_TIMEOUT_MS=700, OPENAI_IDLE_TIMEOUT_MS=700, OPENAI_ANSWER_TIMEOUT_MS=1500)


@pytest.fixture
def watching(start_stack):
    """The first word may take its time."""
    return start_stack(OPENAI_IDLE_TIMEOUT_MS=2000)


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "completion"])
def test_no_headers_is_504(impatient, model, streaming):
    script = model.script([HANG])

    def seconds():
        began = time.monotonic()
        exchange = impatient.chat(script, stream=streaming)
        assert_error(exchange, "upstream_timeout")
        assert_retry_after(exchange)
        return time.monotonic() - began
    times = at_best(seconds, 5)
    assert min(times) > 0.6
    script.wait("gone", count=len(times))
    wait_until(impatient.serves)        # a busy machine is too slow for it now and then


def test_a_time_out_is_not_retried(impatient, model):
    script = model.script([HANG])
    impatient.chat(script).read()
    assert len(script.log()) == 1


def test_silence_after_the_headers_is_told(impatient, model):
    script = model.script([head(), HANG])
    exchange = impatient.chat(script)
    if exchange.status == 200:
        assert_ends_in_error(exchange.events(), "upstream_timeout")
    else:
        assert_error(exchange, "upstream_timeout")
    script.wait("gone")


def test_silence_in_the_middle_is_told_in_the_stream(watching, model):
    script = model.script(stream(text("one"), HANG))
    exchange = watching.chat(script)
    events = exchange.events()
    assert text_of(events) == "one"
    assert_ends_in_error(events, "upstream_timeout", exchange.header("X-Request-Id"))
    script.wait("gone")
    watching.assert_serves()


def test_silence_in_the_middle_of_a_completion_is_504(impatient, model):
    start = ["head", 200, [["Content-Type", "application/json"], ["Content-Length", "5000"]]]
    exchange = impatient.chat(model.script([start, ["send", '{"id":'], HANG]), stream=False)
    assert_error(exchange, "upstream_timeout")


def test_a_completion_has_all_its_time_though_the_server_accepts_at_once(start_stack, model):
    """As some do, and send blanks until it is made."""
    stack = start_stack(OPENAI_IDLE_TIMEOUT_MS=300)
    steps = [head(content_type="application/json"), sleep(1), send("\n"), sleep(1), send(json.dumps(replies.completion()))]
    assert stack.chat(model.script(steps), stream=False).status == 200


def test_a_slow_model_that_goes_on_is_not_cut(impatient, model):
    steps = [step for number in range(6) for step in (text(f"<{number}>"), sleep(0.4))]

    def whole():
        """Unless the machine made it slower than it may be."""
        exchange = impatient.chat(model.script(stream(*steps)))
        events = exchange.events() if exchange.status == 200 else [None]
        return text_of(events) == "<0><1><2><3><4><5>" and events[-1] == "[DONE]"
    wait_until(whole, what="a whole answer")


def test_one_who_waits_in_vain_does_not_hold_up_others(impatient, model):
    waiting = [impatient.chat(model.script([HANG])) for _ in range(20)]
    wait_until(impatient.serves)
    for exchange in waiting:
        assert exchange.status == 504


@pytest.fixture
def relay(model):
    relay = Disturbance(model.host, model.port)
    yield relay
    relay.stop()


@pytest.fixture
def watchful(start_stack, model, relay):
    """Its time-outs are far away."""
    return start_stack(OPENAI_BASE_URL=f"http://127.0.0.1:{relay.port}/v1", OPENAI_SILENCE_MS=500)


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "completion"])
def test_a_server_that_hangs_is_told_long_before_a_time_out(watchful, relay, model, streaming):
    relay.behave("hang")
    exchange = watchful.chat(model.script(reply()), stream=streaming)
    assert "server does not answer" in assert_error(exchange, "upstream_timeout")
    assert_retry_after(exchange)
    relay.behave("pass")
    wait_until(watchful.serves)


def test_a_server_that_hangs_in_the_middle_is_told_in_the_stream(watchful, relay, model):
    exchange = watchful.chat(model.script(stream(text("one"), HANG)))
    assert exchange.next_text() == "one"
    relay.behave("hang")
    assert_ends_in_error(exchange.events(), "upstream_timeout", exchange.header("X-Request-Id"))


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "completion"])
def test_a_model_that_thinks_is_waited_for(watchful, model, streaming):
    """If its server answers in time, as it does unless the machine stands still for longer than that."""
    wait_until(lambda: watchful.chat(model.script([sleep(3), *reply()]), stream=streaming).status == 200)
