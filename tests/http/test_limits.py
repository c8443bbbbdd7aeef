"""How often one may ask: exact windows, the headers that tell of them, one limit over all workers."""
import re
import time

import pytest

from contract import assert_error
from script import stream, text
from stack import wait_until

LIMITED = ["/api/chat", "/v1/chat/completions", "/v1/models"]


@pytest.fixture
def limited(start_stack):
    """Two workers; three requests in an hour for guests unless said otherwise."""
    def start(guest="3/3600", **settings):
        return start_stack(workers=2, RATE_LIMIT_GUEST=guest, **settings)
    return start


def ask(stack, address="192.0.2.1", path="/v1/models", method="GET"):
    """One request over a connection of its own, so that either worker may take it."""
    with stack.fastcgi() as connection:
        return connection.ask(method, path, REMOTE_ADDR=address)


def statuses(stack, count, address="192.0.2.1"):
    return [ask(stack, address).status for _ in range(count)]


def test_thirty_a_minute_are_admitted_and_the_next_is_told_when(start_stack):
    stack = start_stack(workers=2, RATE_LIMIT_GUEST=None)
    began = time.time()
    for number in range(1, 31):
        response = ask(stack)
        assert response.status == 200
        assert response.headers["x-ratelimit-limit"] == "30"
        assert response.headers["x-ratelimit-remaining"] == str(30 - number)
        assert response.headers["ratelimit-policy"] == '"guest";q=30;w=60'
        assert re.fullmatch(rf'"guest";r={30 - number};t=\d+', response.headers["ratelimit"])
        assert began + 59 <= int(response.headers["x-ratelimit-reset"]) <= time.time() + 61
    asked = time.time()
    refused = ask(stack)
    told = time.time()
    assert refused.status == 429
    retry = int(refused.headers["retry-after"])
    assert began + 60 - told <= retry <= 60
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert refused.headers["ratelimit"] == f'"guest";r=0;t={retry}'
    assert asked + retry - 2 < int(refused.headers["x-ratelimit-reset"]) < told + retry + 2
    assert "retry-after" not in response.headers


def test_nobody_gets_another_limit_by_naming_other_addresses(limited):
    """What a client says of itself is no address: only what the front gives is."""
    stack = limited()
    names = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "Remote-Addr")
    answers = [stack.get("/v1/models", **{name: ("for=" if name == "Forwarded" else "") + f"203.0.113.{number}" for name in names})
               for number in range(1, 7)]
    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 3


def test_the_error_says_what_the_contract_has(limited):
    stack = limited()
    for _ in range(3):
        assert stack.get("/v1/models").status == 200
    refused = stack.chat()
    message = assert_error(refused, "rate_limit_exceeded")
    retry = refused.header("Retry-After")
    assert message == f"Too many requests: 3 per 3600 s for guests; try again in {retry} s."
    assert 1 <= int(retry) <= 3600


def test_a_refused_request_does_not_reach_the_model(limited, model):
    stack = limited("1/3600")
    script = model.script(stream(text("Hello")), stream(text("Hello")))
    assert stack.chat(script).events()[-1] == "[DONE]"
    assert stack.chat(script).status == 429
    assert len(script.log()) == 1


@pytest.mark.parametrize("path", LIMITED)
def test_each_answer_of_a_limited_address_has_the_headers(limited, path):
    stack = limited()
    method = "GET" if path == "/v1/models" else "POST"
    exchange = stack.request(method, path, "not json" if method == "POST" else None,
                             {"Content-Type": "application/json"} if method == "POST" else None)
    assert exchange.status == (200 if method == "GET" else 400)
    assert exchange.header("X-RateLimit-Limit") == "3"
    assert exchange.header("X-RateLimit-Remaining") == "2"
    assert exchange.header("RateLimit").startswith('"guest";r=2;t=')


def test_a_stream_has_the_headers(limited):
    stack = limited()
    exchange = stack.chat()
    assert exchange.status == 200
    assert exchange.header("X-RateLimit-Remaining") == "2"
    assert exchange.events()[-1] == "[DONE]"


def test_health_and_metrics_are_not_limited(limited):
    stack = limited("1/3600")
    assert statuses(stack, 2) == [200, 429]
    for path in ("/api/health/live", "/api/health/ready", "/metrics"):
        for _ in range(5):
            response = ask(stack, path=path)
            assert response.status == 200
            assert "x-ratelimit-limit" not in response.headers


def test_off_is_off(limited):
    stack = limited("off")
    response = ask(stack)
    assert "x-ratelimit-limit" not in response.headers
    assert statuses(stack, 100) == [200] * 100


def test_one_more_is_admitted_when_the_header_says(limited):
    stack = limited("2/2")

    def refused_in_time():
        """The first leaves the window while the second stays; None if all that took longer than the window is."""
        addresses.append(f"192.0.2.{len(addresses) + 1}")
        began = time.monotonic()
        assert ask(stack, addresses[-1]).status == 200
        time.sleep(0.8)
        found = statuses(stack, 2, addresses[-1])
        refused = ask(stack, addresses[-1])
        if time.monotonic() - began >= 2:
            return None
        assert found == [200, 429] and refused.status == 429
        return refused
    addresses = []
    refused = wait_until(refused_in_time, what="three requests within a second")
    reset = int(refused.headers["x-ratelimit-reset"])
    while time.time() < reset:
        time.sleep(0.01)
    assert ask(stack, addresses[-1]).status == 200


def test_each_address_has_its_own_limit(limited):
    stack = limited()
    assert statuses(stack, 4, "192.0.2.1") == [200, 200, 200, 429]
    assert statuses(stack, 4, "192.0.2.2") == [200, 200, 200, 429]


def test_ipv6_counts_by_its_64(limited):
    stack = limited()
    assert statuses(stack, 2, "2001:db8:1:2::1") == [200, 200]
    assert statuses(stack, 2, "2001:db8:1:2:ffff::9") == [200, 429]
    assert statuses(stack, 1, "2001:db8:1:3::1") == [200]


def test_ipv4_in_ipv6_is_that_ipv4(limited):
    stack = limited()
    assert statuses(stack, 2, "192.0.2.1") == [200, 200]
    assert statuses(stack, 2, "::ffff:192.0.2.1") == [200, 429]


def test_guests_without_an_address_are_limited_as_one(limited):
    stack = limited()
    assert statuses(stack, 2, "") == [200, 200]
    with stack.fastcgi() as connection:
        assert connection.ask("GET", "/v1/models", REMOTE_ADDR=None).status == 200
    assert statuses(stack, 1, "unix:") == [429]
    assert statuses(stack, 1) == [200]


def test_a_killed_worker_takes_no_hits_along(limited):
    stack = limited()
    assert statuses(stack, 3) == [200] * 3
    for worker in list(stack.workers):
        stack.start_worker()
        worker.kill()
    stack.wait_ready()
    assert statuses(stack, 5) == [429] * 5


def test_decisions_are_counted(limited):
    stack = limited()
    statuses(stack, 5)
    metrics = stack.get("/metrics").read().decode()
    assert 'bakame_limiter_decisions_total{decided_by="host",result="admitted"} 3' in metrics
    assert 'bakame_limiter_decisions_total{decided_by="host",result="refused"} 2' in metrics
