"""A client leaves: the model is told at once, and nobody else notices.

The model's own clock says when it saw its client go; both clocks are the host's.
"""
import os
from pathlib import Path

import pytest

import process
from contract import is_chunk
from fcgi import params_of, request
from script import HANG, gate, reply, sleep, stream, text
from stack import wait_until
from worker import has_sanitizers

BOUND_SECONDS = 0.05 * (10 if has_sanitizers() else 1)
ROUNDS = 334
# What a machine does that nobody can see from within it.
LATE_AT_MOST = 3


def silent():
    return [HANG]


def speaking():
    return stream(text("one"), HANG)


def trickling():
    return stream(text("one"), ["repeat", 100_000, [text("@N@"), sleep(0.002)]])


def reach_middle(exchange):
    assert exchange.next_text() == "one"


def nothing(_exchange):
    pass


MOMENTS = {
    "before the first token": (silent, True, nothing),
    "in the middle, the model silent": (speaking, True, reach_middle),
    "in the middle, the model speaking": (trickling, True, reach_middle),
    "waiting for a completion": (silent, False, nothing),
}


def seconds_of_others(stack):
    """For how long all those who take part were held up, since they started: by others who ran, and by other machines."""
    front = stack.front.process.pid
    pids = ["thread-self", stack.worker.pid, stack.model.process.pid,
            *Path(f"/proc/{front}/task/{front}/children").read_text().split()]
    stolen = int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) / os.sysconf("SC_CLK_TCK")
    return sum(map(process.seconds_without_processor, pids)) + stolen


def seconds_to_cancel(stack, script, tag, streaming, reach):
    """One client comes, leaves, and the model sees it; without what the machine had to do meanwhile."""
    exchange = stack.chat(script, tag=tag, stream=streaming)
    script.wait("received", tag=tag)
    reach(exchange)
    stack.model.lag()
    held_up = seconds_of_others(stack)
    left = exchange.leave()
    stack.exchanges.remove(exchange)
    gone = script.wait("gone", tag=tag)[0]["gone"]
    return gone - left - stack.model.lag() - (seconds_of_others(stack) - held_up)


@pytest.mark.limit(600)
@pytest.mark.parametrize("moment", MOMENTS)
def test_the_model_is_told_within_50_ms_every_time(stack, model, moment):
    behaviour, streaming, reach = MOMENTS[moment]
    script = model.script(behaviour())
    times = [seconds_to_cancel(stack, script, str(number), streaming, reach) for number in range(ROUNDS)]
    late = [took for took in times if took > BOUND_SECONDS]
    assert len(late) <= LATE_AT_MOST, f"{len(late)} of {ROUNDS} were late: {sorted(late)[-5:]}"


def test_many_that_leave_together_are_all_cancelled(stack, model):
    script = model.script(stream(text("one"), HANG))
    exchanges = [stack.chat(script) for _ in range(100)]
    for exchange in exchanges:
        assert exchange.next_text() == "one"
    for exchange in exchanges:
        exchange.leave()
    script.wait("gone", count=100)
    stack.assert_serves()


def test_who_stays_is_not_disturbed(stack, model):
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchanges = [stack.chat(script, tag=str(number)) for number in range(20)]
    for exchange in exchanges:
        assert exchange.next_text() == "one"
    for exchange in exchanges[::2]:
        exchange.leave()
    script.wait("gone", count=10)
    script.open("go")
    for exchange in exchanges[1::2]:
        assert exchange.next_text() == "two"
        assert exchange.events()[-1] == "[DONE]"


def test_who_left_while_queued_is_not_asked_for(stack, model):
    """A front may hand over a request whose client has long gone."""
    body = b'{"messages":[{"role":"user","content":"%b"}]}'
    script = model.script(reply())
    data = body % script.text().encode()
    with stack.fastcgi() as connection:
        connection.send(request(params_of("POST", "/api/chat", data), data))
    stack.assert_serves()
    wait_until(lambda: all(record["gone"] or record["finished"] for record in script.log()), what="the end of what was asked")


def test_sockets_and_memory_are_given_back(stack, model):
    script = model.script(stream(text("one"), HANG))
    stack.assert_serves()
    before = stack.worker.sockets()
    for _ in range(3):
        exchanges = [stack.chat(script) for _ in range(50)]
        for exchange in exchanges:
            assert is_chunk(exchange.next_event())
        for exchange in exchanges:
            exchange.leave()
    script.wait("gone", count=150)
    # A few kept connections, to NGINX and to the model, are welcome.
    wait_until(lambda: stack.worker.sockets() <= before + 40, what="the end of the sockets of clients that left")
