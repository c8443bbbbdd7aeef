"""The model's breaker: shared by the workers of a host, open before a byte of a stream, closed again by one probe."""
import subprocess
import time

import pytest

from contract import assert_error
from script import HANG, RST, reply, send, status, stream, text
from stack import at_best, wait_until
from worker import CONTROL_PROGRAM, environment

OPEN = 3                    # failures in a row, by default
LONG = f"{OPEN}/600"
SHORT = f"{OPEN}/1"


def transitions(stack):
    """What each change that any worker has logged led to, in order."""
    lines = [line for worker in stack.workers for line in worker.log()
             if line["message"] == "breaker changed" and line["service"] == "openai"]
    return [line["to"] for line in sorted(lines, key=lambda line: line["time"])]


def fail(stack, script, times, **members):
    """So many calls of the model that fail, over all workers."""
    for _ in range(times):
        stack.chat(script, **members).read()


@pytest.mark.parametrize("behaviour", [
    pytest.param(status(500), id="5xx"),
    pytest.param(status(429, headers={"Retry-After": "60"}), id="429"),
    pytest.param(status(408), id="408"),
    pytest.param(status(200, body="hello", content_type="text/plain"), id="no-event-stream"),
    pytest.param(stream(send("data: nonsense\n\n"), finish=False), id="malformed-stream"),
    pytest.param(stream(text("a"), RST, finish=False), id="broken-stream"),
    pytest.param([HANG], id="time-out"),
])
def test_failures_in_a_row_open_it_for_all_workers(start_stack, model, behaviour):
    stack = start_stack(workers=2, BREAKER_OPENAI=LONG, OPENAI_FIRST_BYTE_TIMEOUT_MS=300)
    script = model.script(behaviour)
    fail(stack, script, OPEN)
    calls = len(script.log())
    assert transitions(stack) == ["open"]
    for path in ["/api/chat", "/v1/chat/completions"] * 4:     # by either worker
        exchange = stack.chat(script, path=path, model="mock-model", stream=True)
        assert 500 < int(exchange.header("Retry-After")) <= 600
        assert_error(exchange, "service_unavailable")
    assert len(script.log()) == calls
    assert transitions(stack) == ["open"]


def test_refusals_that_are_the_requests_fault_do_not_count(start_stack, model):
    stack = start_stack(BREAKER_OPENAI=LONG)
    for code in (400, 404, 413, 422) * 2:
        fail(stack, model.script(status(code)), 1)
    fail(stack, model.script(status(500)), OPEN - 1)
    fail(stack, model.script(status(401)), 1)                  # it works, so the count begins anew
    fail(stack, model.script(status(500)), OPEN - 1)
    assert transitions(stack) == []
    stack.assert_serves()


def test_clients_that_leave_do_not_count(start_stack, model):
    stack = start_stack(BREAKER_OPENAI=LONG)
    script = model.script([HANG])
    for number in range(1, 2 * OPEN):
        exchange = stack.chat(script)
        script.wait("received", number)
        exchange.leave()
        script.wait("gone", number)
    assert transitions(stack) == []
    stack.assert_serves()


def test_one_probe_closes_it_and_only_one_is_sent(start_stack, model):
    stack = start_stack(workers=2, BREAKER_OPENAI=SHORT)
    fail(stack, model.script(status(500)), OPEN)
    held = model.script([["gate", "go"], *reply(pieces=["ok"])])

    def probed():
        """The chat that is sent to the model: held there, while others are refused at once."""
        exchange = stack.chat(held)
        wait_until(lambda: exchange.answered() or held.log(), what="a probe or a refusal")
        return None if exchange.answered() else exchange
    probe = wait_until(probed, what="a probe")
    for _ in range(6):
        exchange = stack.chat(held)
        assert int(exchange.header("Retry-After")) >= 1
        assert_error(exchange, "service_unavailable")
    assert len(held.log()) == 1
    held.open("go")
    assert probe.status == 200 and probe.events()[-1] == "[DONE]"
    wait_until(lambda: transitions(stack) == ["open", "half_open", "closed"], what="its closing in the log")
    stack.assert_serves()


def test_a_worker_killed_while_it_probes_wedges_nothing(start_stack, model):
    stack = start_stack(workers=2, BREAKER_OPENAI=SHORT)
    fail(stack, model.script(status(500)), OPEN)
    hang = model.script([HANG])

    def probed():
        stack.chat(hang)
        return transitions(stack)[-1:] == ["half_open"]
    wait_until(probed, what="a probe")
    prober = next(w for w in stack.workers
                  if any(line.get("to") == "half_open" for line in w.log()))
    prober.kill()

    wait_until(stack.serves, what="an answer")
    wait_until(lambda: transitions(stack)[-1:] == ["closed"], what="its closing in the log")


def test_open_it_answers_in_less_than_ten_milliseconds(start_stack, model):
    stack = start_stack(BREAKER_OPENAI=LONG)
    script = model.script(status(500))
    fail(stack, script, OPEN)

    def refused():
        exchange = stack.chat(script)
        assert exchange.status == 503
        took = time.monotonic() - exchange.sent
        exchange.close()
        return took
    at_best(refused, 0.010)


def control(stack, *words):
    return subprocess.run([CONTROL_PROGRAM, "services", *words], env=environment(**stack.settings), capture_output=True, text=True)


def test_the_operator_sees_and_closes_it(start_stack, model):
    stack = start_stack(workers=2, BREAKER_OPENAI=LONG)
    fail(stack, model.script(status(500)), OPEN)
    rows = {row.split()[0]: row.split() for row in control(stack).stdout.splitlines()}
    assert rows["openai"][1] == "open" and rows["openai"][2:5] == ["3", "of", "3"] and rows["openai"][-1] == "1"
    assert rows["redis"][1] == "closed" and rows["weather"][1] == "closed"
    assert control(stack, "reset", "nobody").returncode == 64
    assert control(stack, "reset", "openai").returncode == 0
    stack.assert_serves()
    assert transitions(stack) == ["open"]       # the operator's own log has the other


def test_looking_makes_no_memory(start_stack):
    stack = start_stack()
    stack.settings["SHM_NAME"] += "-none"
    result = control(stack)
    assert result.returncode == 69 and "Does a worker run" in result.stderr
