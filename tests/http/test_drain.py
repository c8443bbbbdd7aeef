"""A worker that is told to end lets its streams end, and leaves what is new to others."""
import signal
import time

import pytest

import fcgi
from client import text_of
from contract import assert_ends_in_error
from script import HANG, gate, reply, stream, text
from stack import at_best, took, wait_until

SIGNALS = [signal.SIGTERM, signal.SIGUSR1]
held = pytest.mark.parametrize("number", SIGNALS, ids=["SIGTERM", "SIGUSR1"])


# A drain that nothing waits for to its end, and how long at most a worker may take to end when its last stream has.
LONG, END_SECONDS = 3600, 120
# src/http/server.c
CLOSE_IDLE_SECONDS = 2


def tell(worker, number):
    """A signal, and that the worker has begun to do what it says."""
    worker.signal(number)
    wait_until(lambda: '"draining"' in worker.stderr(), what="the drain's beginning")


def worker_of(stack, exchange_starter):
    """Start an exchange; returns it and the worker that took it."""
    before = [worker.sockets() for worker in stack.workers]
    exchange = exchange_starter()
    exchange.next_text()
    grown = [worker.sockets() - count for worker, count in zip(stack.workers, before)]
    return exchange, stack.workers[grown.index(max(grown))]


@held
def test_an_idle_worker_ends_at_once(start_stack, number, slowness):
    def end():
        stack = start_stack(DRAIN_SECONDS=LONG)
        stack.assert_serves()
        stack.worker.signal(number)
        return took(lambda: stack.worker.wait(END_SECONDS))
    at_best(end, 1 * slowness)


@held
def test_a_stream_in_progress_ends_normally(start_stack, model, number):
    stack = start_stack(DRAIN_SECONDS=LONG)
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchange = stack.chat(script)
    assert exchange.next_text() == "one"
    tell(stack.worker, number)
    assert stack.worker.alive()
    script.open("go")
    events = exchange.events()
    assert text_of(events) == "two" and events[-1] == "[DONE]"
    assert stack.worker.wait(END_SECONDS) == 0


@held
def test_a_completion_in_progress_ends_normally(start_stack, model, number):
    stack = start_stack(DRAIN_SECONDS=LONG)
    script = model.script([gate("go"), *reply()])
    exchange = stack.chat(script, stream=False)
    script.wait("received")
    tell(stack.worker, number)
    script.open("go")
    assert exchange.status == 200
    assert exchange.json()["object"] == "chat.completion"
    assert stack.worker.wait(END_SECONDS) == 0


@held
def test_a_stream_that_outlasts_the_drain_ends_in_an_error(start_stack, model, number):
    stack = start_stack(DRAIN_SECONDS=1)
    script = model.script(stream(text("one"), HANG))
    exchange = stack.chat(script)
    assert exchange.next_text() == "one"
    start = time.monotonic()
    stack.worker.signal(number)
    assert_ends_in_error(exchange.events(), "service_unavailable", exchange.header("X-Request-Id"))
    assert time.monotonic() - start >= 0.9
    assert stack.worker.wait(END_SECONDS) == 0
    script.wait("gone")


def test_a_completion_that_outlasts_the_drain_is_503(start_stack, model):
    stack = start_stack(DRAIN_SECONDS=1)
    script = model.script([HANG])
    exchange = stack.chat(script, stream=False)
    script.wait("received")
    stack.worker.signal(signal.SIGTERM)
    assert exchange.status == 503
    assert exchange.header("Retry-After")
    assert stack.worker.wait(END_SECONDS) == 0


def test_a_client_that_reads_nothing_does_not_hold_the_drain(start_stack, model):
    stack = start_stack(DRAIN_SECONDS=1)
    script = model.script(stream(["repeat", 3000, [text("x" * 8192)]]))
    exchange = stack.chat(script, receive_buffer=4096)
    assert exchange.status == 200
    stack.worker.signal(signal.SIGTERM)
    assert stack.worker.wait(END_SECONDS) == 0


def test_a_request_half_received_does_not_hold_the_drain(start_stack):
    stack = start_stack(DRAIN_SECONDS=1)
    with stack.fastcgi() as connection:
        connection.send(b"\1\1\0\1\0\x08\0\0\0\1\0")
        time.sleep(0.1)
        stack.worker.signal(signal.SIGTERM)
        assert stack.worker.wait(END_SECONDS) == 0


def test_a_front_that_keeps_a_connection_is_asked_to_close_it(start_stack):
    """By an empty STDERR record, which to a request that is on its way at this moment means nothing."""
    def ask_in_time():
        stack = start_stack(DRAIN_SECONDS=LONG)
        idle, racing = stack.fastcgi(), stack.fastcgi()
        for connection in (idle, racing):
            assert connection.ask("GET", "/api/health/live", keep=True).status == 200
        told = time.monotonic()
        stack.worker.signal(signal.SIGTERM)
        assert idle.read_record() == (fcgi.STDERR, b"")
        try:
            assert racing.ask("GET", "/api/health/live", keep=True).status == 200
        except (EOFError, ConnectionError):     # closed, for we took longer than a front is given
            assert time.monotonic() - told > CLOSE_IDLE_SECONDS
            return False
        assert racing.read_record() == (fcgi.STDERR, b"")
        assert racing.closed_by_worker()
        idle.close()
        assert stack.worker.wait(END_SECONDS) == 0
        return True
    wait_until(ask_in_time, 120, "a request before the worker closes")


def test_kept_connections_do_not_hold_the_drain(start_stack):
    stack = start_stack(DRAIN_SECONDS=LONG)
    with stack.fastcgi() as connection:
        assert connection.ask("GET", "/api/health/live", keep=True).status == 200
        stack.worker.signal(signal.SIGTERM)
        assert stack.worker.wait(END_SECONDS) == 0


@pytest.mark.parametrize("numbers", [[signal.SIGTERM, signal.SIGTERM], [signal.SIGUSR1, signal.SIGTERM]])
def test_a_second_signal_changes_nothing(start_stack, model, numbers):
    """Apache sends SIGTERM at once and again after a second."""
    stack = start_stack(DRAIN_SECONDS=LONG)
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchange = stack.chat(script)
    assert exchange.next_text() == "one"
    tell(stack.worker, numbers[0])
    stack.worker.signal(numbers[1])
    time.sleep(0.2)
    script.open("go")
    assert exchange.events()[-1] == "[DONE]"
    assert stack.worker.wait(END_SECONDS) == 0


@held
def test_signals_up_to_the_last_moment_change_nothing(start_stack, number):
    """Supervisors repeat themselves; the worker may be anywhere in its end."""
    for _ in range(5):
        stack = start_stack()
        stack.assert_serves()
        while stack.worker.alive():
            stack.worker.signal(number)
        assert stack.worker.wait(END_SECONDS) == 0


@held
def test_what_is_new_goes_to_the_other_worker(start_stack, model, number):
    stack = start_stack(workers=2, DRAIN_SECONDS=LONG)
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchange, draining = worker_of(stack, lambda: stack.chat(script))
    tell(draining, number)
    for _ in range(30):
        stack.assert_serves()
    assert draining.alive()
    script.open("go")
    assert exchange.events()[-1] == "[DONE]"
    assert draining.wait(END_SECONDS) == 0


def test_workers_are_replaced_one_by_one_without_a_failure(start_stack, model):
    stack = start_stack(workers=2, DRAIN_SECONDS=LONG)
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchanges = [stack.chat(script) for _ in range(20)]
    for exchange in exchanges:
        assert exchange.next_text() == "one"
    for worker in list(stack.workers):
        stack.start_worker()
        stack.wait_started()
        worker.signal(signal.SIGTERM)
        for _ in range(20):
            stack.assert_serves()
    script.open("go")
    assert [exchange.events()[-1] for exchange in exchanges] == ["[DONE]"] * 20
    assert [worker.wait(END_SECONDS) for worker in stack.workers[:2]] == [0, 0]
