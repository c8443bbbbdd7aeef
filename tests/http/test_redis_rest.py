"""Redis over Upstash's REST protocol: limits of two workers in one Redis, and without it when it fails."""
import pytest

from redis_server import RedisError, RedisServer
from stack import wait_until
from upstash import Upstash

LIMIT = 5


@pytest.fixture
def rest(tmp_path):
    redis = RedisServer(tmp_path / "redis")
    mock = Upstash(redis, RedisError)
    yield mock
    mock.stop()
    redis.stop()


def start(start_stack, rest, **settings):
    return start_stack(**{"workers": 2, "UPSTASH_REDIS_REST_URL": rest.url, "UPSTASH_REDIS_REST_TOKEN": rest.token,
                          "REDIS_TIMEOUT_MS": 60000, "RATE_LIMIT_GUEST": f"{LIMIT}/3600", **settings})


def statuses(stack, count):
    exchanges = [stack.chat() for _ in range(count)]
    return sorted(exchange.status for exchange in exchanges)


def transitions(stack):
    lines = [line for worker in stack.workers for line in worker.log()
             if line["message"] == "breaker changed" and line["service"] == "redis"]
    return [line["to"] for line in sorted(lines, key=lambda line: line["time"])]


def test_limits_are_kept_in_redis_by_all_workers(start_stack, rest):
    stack = start(start_stack, rest)
    assert statuses(stack, LIMIT + 4) == [200] * LIMIT + [429] * 4
    assert rest.redis.command("DBSIZE") >= 1
    # a script that Redis has forgotten is sent again
    rest.redis.command("SCRIPT", "FLUSH")
    rest.redis.command("FLUSHALL")
    stack = start(start_stack, rest)
    assert statuses(stack, LIMIT + 1) == [200] * LIMIT + [429]


@pytest.mark.parametrize("fault", ["500", "html", "hang"])
def test_a_server_that_fails_opens_the_breaker_and_the_host_decides(start_stack, rest, fault):
    rest.fault = fault
    stack = start(start_stack, rest, REDIS_TIMEOUT_MS=100, RATE_LIMIT_GUEST="10000/3600", BREAKER_REDIS="10/1")
    assert set(statuses(stack, 14)) == {200}
    wait_until(lambda: "open" in transitions(stack), what="the breaker")
    rest.fault = None
    rest.released.set()

    def closed():
        stack.chat().read()
        return transitions(stack)[-1:] == ["closed"]
    wait_until(closed, what="an end of it")


def test_a_wrong_token_is_a_failure_that_the_log_names(start_stack, rest):
    stack = start(start_stack, rest, UPSTASH_REDIS_REST_TOKEN="wrong", RATE_LIMIT_GUEST="50/3600")
    assert set(statuses(stack, 12)) == {200}
    lines = wait_until(lambda: [line for worker in stack.workers for line in worker.log() if line["message"] == "breaker changed"])
    assert lines[0]["to"] == "open" and "401" in lines[0]["reason"] and "Unauthorized" in lines[0]["reason"]
