"""MAX_STREAMS: another worker takes what one cannot; when none can, 503."""
import time

import pytest

from contract import assert_error, assert_retry_after
from script import gate, reply, stream, text
from stack import at_best, took, wait_until

# src/runtime/peers.c
SILENT_SECONDS = 3
REFUSED_AT_MOST = 4


def held_script(model):
    return model.script(stream(text("one"), gate("go"), text("two")))


def open_streams(stack, script, count):
    """One after the other.  Who has not heard of another worker for SILENT_SECONDS takes it for stuck, and refuses what that
    one has room for: on a machine that stands still, now and then."""
    exchanges, refused = [], 0
    while len(exchanges) < count:
        exchange = stack.chat(script)
        if exchange.status == 503:
            exchange.close()
            refused += 1
            assert refused <= REFUSED_AT_MOST, f"{len(exchanges)} of {count} places were given"
            time.sleep(SILENT_SECONDS)
        else:
            assert exchange.next_text() == "one"
            exchanges.append(exchange)
    return exchanges


def finish(script, exchanges):
    script.open("go")
    for exchange in exchanges:
        assert exchange.events()[-1] == "[DONE]"


@pytest.mark.parametrize("workers", [1, 2])
def test_all_places_are_used_and_one_more_is_503(start_stack, model, workers):
    stack = start_stack(workers=workers, MAX_STREAMS=3)
    script = held_script(model)
    exchanges = open_streams(stack, script, 3 * workers)

    def refuse():
        refused = stack.chat(script)
        assert_error(refused, "service_unavailable")
        assert_retry_after(refused)
    at_best(lambda: took(refuse), 2)
    finish(script, exchanges)


def test_a_completion_takes_a_place_too(start_stack, model):
    stack = start_stack(MAX_STREAMS=1)
    script = model.script([gate("go"), *reply()])
    exchange = stack.chat(script, stream=False)
    script.wait("received")
    assert stack.chat().status == 503
    script.open("go")
    assert exchange.status == 200


def test_a_place_that_is_free_again_is_used_again(start_stack, model):
    stack = start_stack(workers=2, MAX_STREAMS=2)
    script = held_script(model)
    exchanges = open_streams(stack, script, 4)
    assert stack.chat().status == 503
    exchanges[0].leave()
    script.wait("gone")
    wait_until(lambda: stack.chat().status == 200, what="a free place")
    finish(script, exchanges[1:])
    for _ in range(4):
        stack.assert_serves()


def test_health_answers_while_all_places_are_taken(start_stack, model):
    stack = start_stack(MAX_STREAMS=2)
    script = held_script(model)
    exchanges = open_streams(stack, script, 2)
    assert stack.get("/api/health/live").status == 200
    finish(script, exchanges)


def test_a_killed_worker_takes_its_places_with_it_and_no_others(start_stack, model):
    """What a dead worker held must not count for ever against those that live."""
    stack = start_stack(workers=2, MAX_STREAMS=2)
    script = held_script(model)
    open_streams(stack, script, 4)
    stack.workers[0].kill()
    stack.start_worker()
    stack.wait_started()
    again = held_script(model)
    exchanges = open_streams(stack, again, 2)
    assert stack.chat(again).status == 503
    finish(again, exchanges)
