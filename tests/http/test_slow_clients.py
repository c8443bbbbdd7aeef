"""A client that reads slowly slows its own stream only, and costs no memory."""
import json
import threading
import time

import pytest

from client import text_of
from fcgi import params_of, request
from script import gate, repeat, stream, text
from stack import at_best, chat_body, wait_until
from worker import has_sanitizers

KIB = 1024
MIB = 1024 * KIB
BLOCK = "0123456789abcdef" * 512        # 8 KiB
SMALL_RECEIVE_BUFFER = 4 * KIB
GROWTH_BYTES = 256 * KIB
# A stuck stream holds what the model said last and what the client has not taken of it.
STUCK_STREAM_BYTES = 128 * KIB


def blocks(total):
    return stream(repeat(total // len(BLOCK), text(BLOCK)))


@pytest.fixture
def warm_stack(start_stack, model):
    """A worker that has already carried what is to come, so that growth is growth."""
    stack = start_stack()
    warm_up(stack, model)
    return stack


def warm_up(stack, model):
    exchanges = [stack.chat(model.script(blocks(MIB))) for _ in range(8)]
    for exchange in exchanges:
        assert exchange.events()[-1] == "[DONE]"


def assert_memory_stays(worker, before, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not has_sanitizers():
            assert worker.memory() - before <= GROWTH_BYTES
        time.sleep(0.25)


def test_24_mb_for_a_client_that_reads_1_kb_a_second_cost_no_memory(warm_stack, model):
    script = model.script(blocks(24 * MIB))
    before = warm_stack.worker.memory()
    exchange = warm_stack.chat(script, receive_buffer=SMALL_RECEIVE_BUFFER)
    reading = threading.Thread(target=exchange.read_slowly, args=(KIB, 8))
    reading.start()
    assert_memory_stays(warm_stack.worker, before, 8)
    reading.join()
    record = script.log()[0]
    assert record["finished"] is None and record["gone"] is None
    assert record["bytes_sent"] < 24 * MIB
    exchange.leave()
    script.wait("gone")


def test_24_clients_that_never_read_cost_no_memory(warm_stack, model):
    """Through FastCGI itself: no front takes anything off the worker."""
    script = model.script(blocks(24 * MIB))
    body = json.dumps(chat_body(script)).encode()
    before = warm_stack.worker.memory()
    connections = [warm_stack.fastcgi() for _ in range(24)]
    for connection in connections:
        connection.send(request(params_of("POST", "/api/chat", body), body))
    script.wait("received", count=24)
    assert_memory_stays(warm_stack.worker, before + 24 * STUCK_STREAM_BYTES, 4)
    for connection in connections:
        connection.close()
    script.wait("gone", count=24)


def test_others_are_not_delayed(warm_stack, model):
    slow = model.script(blocks(24 * MIB))
    stuck = [warm_stack.chat(slow, receive_buffer=SMALL_RECEIVE_BUFFER) for _ in range(5)]
    slow.wait("received", count=len(stuck))
    rounds = 30
    steps = [step for number in range(rounds) for step in (text(f"<{number}>"), gate(f"g{number}"))]

    def usual_delay():
        quick = model.script(stream(*steps))
        exchange = warm_stack.chat(quick)
        delays = []
        for number in range(rounds):
            start = time.monotonic()
            assert exchange.next_text() == f"<{number}>"
            delays.append(time.monotonic() - start)
            quick.open(f"g{number}")
        assert exchange.events()[-1] == "[DONE]"
        return sorted(delays)[rounds // 2]
    at_best(usual_delay, 0.05 * (10 if has_sanitizers() else 1))


def test_a_client_that_pauses_gets_everything_in_the_end(start_stack, model):
    """The pause is longer than the model's time-out: it was not the model that was silent.  Unless on a busy machine it was."""
    stack = start_stack(OPENAI_IDLE_TIMEOUT_MS=1000)

    def everything():
        exchange = stack.chat(model.script(blocks(24 * MIB)), receive_buffer=SMALL_RECEIVE_BUFFER)
        assert exchange.next_text() == BLOCK
        time.sleep(3)
        received, last = len(BLOCK), None
        while (event := exchange.next_event()) is not None:
            received, last = received + len(text_of([event])), event
        exchange.close()
        return (received, last) == (24 * MIB, "[DONE]")
    wait_until(everything, 120, "a whole answer")


def test_a_client_that_reads_a_completion_slowly_gets_it_whole(warm_stack, model):
    words = "0123456789abcdef" * 60_000
    script = model.script([["reply", {"pieces": [words]}]])
    exchange = warm_stack.chat(script, stream=False, receive_buffer=SMALL_RECEIVE_BUFFER)
    time.sleep(2)
    warm_stack.assert_serves()
    assert exchange.json()["choices"][0]["message"]["content"] == words
