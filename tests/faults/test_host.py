"""The host itself: workers killed, stopped, out of descriptors or memory; names that do not resolve; clocks that jump."""
import resource
import signal
import time
from pathlib import Path

import pytest

from client import DONE
from contract import assert_error, assert_retry_after
from load import ANSWERED_WITHIN, Load
from script import gate, reply, stream, text
from stack import SHIPPED_TIME_OUTS, at_best, took, wait_until
from worker import has_sanitizers

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
# As systemd's watchdog gives a worker that has stopped.
WATCHDOG_SECONDS = 4


def in_the_dark(outcomes):
    return [outcome for outcome in outcomes if not outcome.clear]


def assert_quick(outcomes):
    slow = [outcome for outcome in outcomes if outcome.waited >= ANSWERED_WITHIN]
    assert not slow, slow[:5]


def killed_under_load(house, how, seconds=0):
    """One of two workers is ended without warning while people ask; a supervisor starts another.  What became of them."""
    asks = house.asks()
    load = Load(asks)
    time.sleep(0.5)
    began = time.monotonic()
    victim = house.stack.workers[-1]
    if how is not None:
        victim.process.send_signal(how)
        time.sleep(seconds)
    victim.kill()
    house.stack.workers.remove(victim)
    house.stack.start_worker()
    house.stack.wait_started()
    time.sleep(1)
    house.wait_well()
    load.stop()
    return load.since(began - 1), len(asks)


def test_a_worker_killed(well):
    outcomes, people = killed_under_load(well, None)
    # a stream whose worker died has no last words: at most those that it held
    assert len(in_the_dark(outcomes)) <= people, in_the_dark(outcomes)[:8]
    assert_quick(outcomes)


def test_a_worker_stopped_until_the_watchdog_ends_it(well):
    outcomes, people = killed_under_load(well, signal.SIGSTOP, WATCHDOG_SECONDS)
    assert len(in_the_dark(outcomes)) <= people, in_the_dark(outcomes)[:8]
    assert_quick(outcomes)


def test_a_worker_out_of_descriptors(start_stack, model):
    """It leaves to the other what it cannot take, says so, and goes on when there is room again."""
    stack = start_stack(workers=2)
    poor = stack.workers[0]
    resource.prlimit(poor.pid, resource.RLIMIT_NOFILE, (60, 60))
    script = model.script(stream(text("one"), gate("go"), text("two")))
    begun, refused = [], []
    while len(begun) < 60 and len(refused) < 600:       # while the other stands still, this one has to refuse most
        for exchange in [stack.chat(script) for _ in range(120)]:
            if exchange.status == 200 and exchange.next_text() == "one":
                begun.append(exchange)
            else:
                assert assert_error(exchange, "upstream_error")
                exchange.close()
                refused.append(exchange)
    assert len(begun) >= 60
    script.open("go")
    assert all(exchange.events()[-1] == DONE for exchange in begun)
    for _ in range(20):
        stack.assert_serves()
    assert poor.alive()
    if refused:
        assert poor.stderr()


@pytest.mark.skipif(has_sanitizers(), reason="ASan reserves terabytes of address space")
def test_a_worker_out_of_memory_ends_and_the_other_serves(start_stack, model):
    stack = start_stack(workers=2)
    poor, rich = stack.workers
    mapped = int(Path(f"/proc/{poor.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(poor.pid, resource.RLIMIT_AS, (mapped + (4 << 20), mapped + (4 << 20)))
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchanges = []
    rich.process.send_signal(signal.SIGSTOP)        # who does not run takes nothing off the other
    while poor.alive() and len(exchanges) < 600:
        exchanges.append(stack.chat(script))
        time.sleep(0.002)
    wait_until(lambda: not poor.alive(), what="the end of a worker without memory")
    rich.process.send_signal(signal.SIGCONT)
    assert poor.process.returncode == -signal.SIGABRT, poor.stderr()[-2000:]
    stack.workers.remove(poor)      # its last words may be those of a library, which knows nothing of our log
    for _ in range(20):
        exchange = stack.chat(model.script(reply()))
        if exchange.status == 200:
            break
    script.open("go")
    complete = sum(exchange.status == 200 and exchange.events()[-1:] == [DONE] for exchange in exchanges)
    assert complete >= 1
    for _ in range(10):
        stack.assert_serves()


def test_a_model_whose_name_does_not_resolve(start_stack):
    stack = start_stack(OPENAI_BASE_URL="http://model.invalid/v1", BREAKER_OPENAI="100/1", **SHIPPED_TIME_OUTS)

    def refused():
        exchange = stack.chat()
        assert exchange.status in (502, 504), exchange.read()       # name servers may say no, or nothing
        assert_retry_after(exchange)
    at_best(lambda: took(refused), ANSWERED_WITHIN)
    assert stack.get("/api/health/live").status == 200


def test_a_model_that_is_silent_is_no_silence_for_the_person(start_stack, model, slowness):
    """With all times as they are shipped: it may be loading, so it is waited for, but not without a word."""
    stack = start_stack(**SHIPPED_TIME_OUTS)

    def told():
        exchange = stack.chat(model.script([gate("never"), *reply()]))
        assert exchange.status == 200
        assert "request_id" in exchange.next_event()["bakame"]
        assert exchange.next_event()["bakame"] == {"waiting": "model"}
    at_best(lambda: took(told), ANSWERED_WITHIN * slowness)


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
@pytest.mark.skipif(has_sanitizers(), reason="ASan wants to be loaded first")
@pytest.mark.parametrize("jump", ["+1d", "-1d"])
def test_the_clock_jumps(start_stack, model, tmp_path, jump):
    """Wall time is for people: what is waited for goes by the clock that does not jump."""
    clock = tmp_path / "clock"
    clock.write_text("+0d\n")
    stack = start_stack(LD_PRELOAD=str(FAKETIME), FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_NO_CACHE=1,
                        FAKETIME_DONT_FAKE_MONOTONIC=1, PING_SECONDS=1, RATE_LIMIT_GUEST="50/3600")
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchange = stack.chat(script)
    assert exchange.next_text() == "one"
    clock.write_text(jump + "\n")
    for _ in range(5):
        stack.assert_serves()
    told = stack.get("/api/health").json()["timestamp"]
    assert (told > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())) == (jump == "+1d"), told
    script.open("go")
    assert exchange.events()[-1] == DONE
    limited = [stack.chat(model.script(reply())) for _ in range(50)]
    statuses = [exchange.status for exchange in limited]
    assert statuses.count(200) == 50 - 6 and statuses[-1] == 429       # 6 were asked before
    assert 1 <= int(limited[-1].header("Retry-After")) <= 3600
