"""The probe of `bakamectl doctor`, bounded; and `bakamectl top`, which shows what workers do."""
import re
import subprocess
import time

import pytest

from client import DONE
from contract import assert_error
from script import gate, stream, text
from stack import wait_until
from worker import CONTROL_PROGRAM, environment


def test_events_come_at_their_pace_and_end(shared_stack):
    def at_pace():
        """Unless one was late: the next is not, for that."""
        events = shared_stack.get("/api/health/stream?events=3&every=20").events()
        assert [event["event"] for event in events[:-1]] == [0, 1, 2] and events[-1] == DONE
        times = [event["time_ms"] for event in events[:-1]]
        return times[1] - times[0] >= 19 and times[2] - times[1] >= 19
    wait_until(at_pace, what="events at their pace")


@pytest.mark.parametrize("query", ["events=0", "events=101", "events=ten", "every=19", "every=1001", "events=100&every=1000", "events=-1"])
def test_it_costs_no_more_than_a_little(shared_stack, query):
    assert_error(shared_stack.get(f"/api/health/stream?{query}"), "invalid_request")


def test_what_became_of_a_stream_is_known(shared_stack):
    exchange = shared_stack.get("/api/health/stream?events=2&every=20&id=abc123")
    exchange.events()
    fate = shared_stack.get("/api/health/stream/abc123", Authorization="Bearer x").json()
    assert (fate["state"], fate["events"], fate["authorization"]) == ("done", 2, True)
    assert shared_stack.get("/api/health/stream/abc123").json()["authorization"] is False


def test_a_client_that_left_is_known(shared_stack):
    def left():
        """In the middle, unless all 15 s of it passed before we could."""
        exchange = shared_stack.get("/api/health/stream?events=100&every=150&id=beef")
        exchange.next_event()
        exchange.leave()
        state = wait_until(lambda: (now := shared_stack.get("/api/health/stream/beef").json()["state"]) != "running" and now)
        return state == "gone"
    wait_until(left, 120, "a stream whose client left")


@pytest.mark.parametrize("name", ["0", "fade", "xyz", "11112222333344445"])
def test_a_stream_that_was_not_is_not_found(shared_stack, name):
    assert_error(shared_stack.get(f"/api/health/stream/{name}"), "not_found")


def test_only_so_many_run_at_once(start_stack):
    stack = start_stack()

    def refused():
        """Unless the first ended, after 15 s, before all had begun."""
        began = time.monotonic()
        running = [stack.get("/api/health/stream?events=100&every=150") for _ in range(16)]
        begun = all(exchange.status == 200 and exchange.next_event() for exchange in running)
        one_more = stack.get("/api/health/stream?events=1")
        status = one_more.status
        in_time = time.monotonic() - began < 15
        for exchange in running:
            exchange.close()
        if not begun or not in_time:    # or those of the last time have not ended yet
            return False
        assert status == 503
        assert_error(one_more, "service_unavailable")
        return True
    wait_until(refused, 120, "sixteen at once")


def top(stack, *arguments):
    env = environment(**stack.settings)
    return subprocess.run([CONTROL_PROGRAM, "top", *arguments], env=env, capture_output=True, text=True, timeout=180)


def test_top_shows_host_workers_and_breakers(start_stack, model):
    stack = start_stack(workers=2)
    script = model.script(stream(text("one"), gate("go")))
    exchanges = [stack.chat(script) for _ in range(3)]
    for exchange in exchanges:
        assert exchange.next_text() == "one"
    done = wait_until(lambda: (shown := top(stack, "1", "1")) and "3 streams" in shown.stdout and shown, what="the streams")
    assert done.returncode == 0 and done.stderr == ""
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("bakame-fcgi")]
    assert sorted(int(line[1]) for line in lines) == sorted(worker.pid for worker in stack.workers)
    assert sum(int(line[2]) for line in lines) == 3
    assert re.search(r"requests/s .* tokens/s .* failed/s", done.stdout)
    assert "\nbreakers: all closed\n" in done.stdout
    assert "\033" not in done.stdout
    script.open("go")


def test_top_shows_what_is_away_and_since_when(start_stack):
    stack = start_stack(OPENAI_BASE_URL="http://127.0.0.1:1/v1", BREAKER_OPENAI="1/60")
    assert stack.chat("hello").status == 502
    assert re.search(r"^breakers: openai open for \d+ s; the others closed$", top(stack, "1", "1").stdout, re.M)


def test_top_of_a_host_whose_workers_died_says_so(start_stack):
    stack = start_stack()
    stack.worker.kill()
    assert "\nno worker runs on this host: systemctl status" in top(stack, "1", "1").stdout


def test_top_without_workers_says_so(start_stack):
    stack = start_stack()
    stack.settings["SHM_NAME"] = "/bakame-nobody-has-this"
    done = top(stack)
    assert done.returncode == 69 and "worker" in done.stderr
