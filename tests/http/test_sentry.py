"""Errors reach error tracking, with what led to them and without secrets; a tracker that is away costs nothing."""
import json
import signal
import subprocess

import pytest

from contract import assert_error
from ports import hold_port, port_of
from script import status
from sentry import KEY, SentryServer
from stack import API_KEY, took, wait_until
from worker import CONTROL_PROGRAM, environment, has_sanitizers

FAILS = status(500)


@pytest.fixture
def start_tracker():
    servers = []

    def start(*script):
        servers.append(SentryServer(script))
        return servers[-1]
    yield start
    for server in servers:
        server.stop()


def fail_once(stack, model):
    """A chat that ends with an error; its request id."""
    exchange = stack.chat(model.script(FAILS))
    assert_error(exchange, "upstream_error")
    return exchange.header("X-Request-Id")


def test_an_error_is_reported_with_its_context(start_stack, start_tracker, model):
    tracker = start_tracker()
    stack = start_stack(SENTRY_DSN=tracker.dsn, SENTRY_ENVIRONMENT="staging")
    request_id = fail_once(stack, model)
    (event,) = tracker.wait_events(1)
    path, headers, _ = tracker.requests[0]
    assert path == "/api/42/envelope/"
    assert headers["Content-Type"] == "application/x-sentry-envelope"
    assert f"sentry_key={KEY}" in headers["X-Sentry-Auth"] and "sentry_version=7" in headers["X-Sentry-Auth"]
    assert event["level"] == "error" and event["environment"] == "staging" and event["release"].startswith("bakame@")
    assert event["tags"]["request_id"] == request_id and event["tags"]["status"] == 502
    assert event["request"] == {"method": "POST", "url": "/api/chat"}
    assert event["user"] == {"ip_address": "127.0.0.1"}
    crumbs = [crumb["message"] for crumb in event["breadcrumbs"]["values"]]
    assert any(crumb.startswith("answer ") for crumb in crumbs), crumbs


def test_neither_keys_nor_messages_are_in_it(start_stack, start_tracker, model):
    tracker = start_tracker()
    stack = start_stack(SENTRY_DSN=tracker.dsn)
    messages = [{"role": "system", "content": "the secret of my life"},
                {"role": "user", "content": model.script(FAILS).text()}]
    exchange = stack.post("/api/chat", {"messages": messages}, headers={"Cookie": "sid=aHVudGVyMg"})
    assert_error(exchange, "upstream_error")
    tracker.wait_events(1)
    text = json.dumps([body.decode() for _, _, body in tracker.requests])
    for secret in (API_KEY, "the secret of my life", "aHVudGVyMg"):
        assert secret not in text


def test_a_chat_that_works_reports_nothing(start_stack, start_tracker):
    tracker = start_tracker()
    stack = start_stack(SENTRY_DSN=tracker.dsn)
    stack.assert_serves()
    assert_error(stack.get("/none"), "not_found")
    stack.worker.signal(signal.SIGTERM)
    stack.worker.wait(60)       # what was in the spool would have been sent by now
    assert tracker.requests == []


def test_the_last_events_go_out_before_the_end(start_stack, start_tracker, model):
    """If the tracker takes them within two seconds, for which the end waits."""
    def told():
        tracker = start_tracker()
        stack = start_stack(SENTRY_DSN=tracker.dsn)
        for _ in range(5):
            fail_once(stack, model)
        stack.worker.signal(signal.SIGTERM)
        seconds = took(lambda: stack.worker.wait(60))
        if len(tracker.events()) == 5:
            return True
        assert seconds > 1.9, f"it did not wait for them, but ended in {seconds} s"
        return False
    wait_until(told, what="the last events")


def test_what_the_tracker_asks_for_is_kept(start_stack, start_tracker, model):
    tracker = start_tracker((429, {"X-Sentry-Rate-Limits": "600:error:organization"}))
    stack = start_stack(SENTRY_DSN=tracker.dsn)
    fail_once(stack, model)
    wait_until(lambda: 'bakame_sentry_events_total{result="failed"} 1' in stack.get("/metrics").read().decode(), what="the first answer")
    for _ in range(3):
        fail_once(stack, model)
    wait_until(lambda: 'result="limited"} 3' in stack.get("/metrics").read().decode(), what="three events dropped")
    assert len(tracker.requests) == 1


def test_an_event_that_was_cut_off_is_sent_again(start_stack, start_tracker, model):
    tracker = start_tracker(None, 503)
    stack = start_stack(SENTRY_DSN=tracker.dsn)
    fail_once(stack, model)
    events = tracker.wait_events(3)
    assert len({event["event_id"] for event in events}) == 1
    wait_until(lambda: "error tracking takes events again" in stack.worker.stderr(), what="a line that says so")
    told = [line for line in stack.worker.log() if line["message"] == "error tracking does not take events"]
    assert len(told) == 1


def test_a_tracker_that_is_away_costs_nothing_but_the_event(start_stack, model):
    hold = hold_port()
    stack = start_stack(SENTRY_DSN=f"http://{KEY}@127.0.0.1:{port_of(hold)}/42")
    for _ in range(10):
        fail_once(stack, model)
    stack.assert_serves()
    hold.close()


def test_its_breaker_leaves_a_tracker_alone_and_closes_when_it_is_back(start_stack, start_tracker, model):
    tracker = start_tracker(503, 503, 503)
    stack = start_stack(workers=2, SENTRY_DSN=tracker.dsn, BREAKER_SENTRY="3/1")

    def told(words):
        return words in stack.get("/metrics").read().decode()
    fail_once(stack, model)
    wait_until(lambda: told('bakame_breaker_transitions_total{service="sentry",to="open"} 1'), what="an open breaker")
    fail_once(stack, model)
    tracker.wait_events(4)
    wait_until(lambda: told('bakame_breaker_state{service="sentry"} 0'), what="a closed one")


def test_without_a_dsn_the_log_has_it(stack, model):
    request_id = fail_once(stack, model)
    assert any(line["level"] == "error" for line in stack.log_lines(request_id))


def control(**settings):
    return subprocess.run([str(CONTROL_PROGRAM), "sentry-test"], env=environment(OPENAI_API_KEY=API_KEY, **settings),
                          text=True, capture_output=True, timeout=180)


def test_bakamectl_sends_a_test_event(start_tracker):
    tracker = start_tracker(200, 403)
    done = control(SENTRY_DSN=tracker.dsn)
    assert (done.returncode, done.stdout) == (0, "The event was taken.\n"), done.stderr
    (event,) = tracker.wait_events(1)
    assert event["logentry"]["formatted"] == "a test of error tracking"
    done = control(SENTRY_DSN=tracker.dsn)
    assert done.returncode == 69 and "status 403" in done.stderr


def test_bakamectl_says_what_is_wrong_with_it():
    done = control()
    assert done.returncode == 78 and "SENTRY_DSN is not set" in done.stderr
    done = control(SENTRY_DSN="https://example.org/1")
    assert done.returncode == 78 and "public key" in done.stderr and "example.org/1\"" not in done.stderr


@pytest.mark.skipif(has_sanitizers(), reason="in an ASan build ASan tells of crashes")
def test_a_crash_is_told_by_who_lives_on(start_stack, start_tracker):
    tracker = start_tracker()
    stack = start_stack(workers=2, SENTRY_DSN=tracker.dsn)
    victim = stack.workers[0]
    victim.signal(signal.SIGSEGV)
    victim.wait(60)
    victim.expected_exit = -signal.SIGSEGV
    (event,) = tracker.wait_events(1)
    assert event["logentry"]["formatted"] == "a process crashed"
    assert event["extra"]["crashed_pid"] == victim.pid
    assert event["extra"]["signal"] == "Segmentation fault"
    assert "0x" in event["extra"]["frames"]


@pytest.mark.skipif(has_sanitizers(), reason="in an ASan build ASan tells of crashes")
def test_the_only_worker_crashes_and_the_next_start_tells(start_stack):
    stack = start_stack()
    victim = stack.worker
    victim.signal(signal.SIGABRT)
    victim.wait(60)
    victim.expected_exit = -signal.SIGABRT
    successor = stack.start_worker()
    wait_until(lambda: "a process crashed" in successor.stderr(), what="a line that tells of the crash")
