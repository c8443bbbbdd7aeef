"""Limits with Redis, and with a Redis that is not well: nobody is locked out, nobody let through, it is said once."""
import itertools
import json
import os
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from redis_server import RedisServer
from stack import wait_until
from worker import CONTROL_PROGRAM, environment

LIMIT = 5
WINDOW = 3600           # seconds: nothing of it is over before a test is
KEY = "bakame:{limit:g:192.0.2.1}"


@pytest.fixture
def start_redis(tmp_path):
    servers = []

    def start(*options, **more):
        servers.append(RedisServer(tmp_path / f"redis-{len(servers)}", *options, **more))
        return servers[-1]
    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def limited(start_stack):
    def start(redis_url, guest=f"{LIMIT}/{WINDOW}", workers=2, **settings):
        return start_stack(workers=workers, RATE_LIMIT_GUEST=guest, REDIS_URL=redis_url,
                           **{"REDIS_TIMEOUT_MS": 60000, **settings})
    return start


def ask(stack, address="192.0.2.1"):
    with stack.fastcgi() as connection:
        return connection.ask("GET", "/v1/models", REMOTE_ADDR=address)


def statuses(stack, count, address="192.0.2.1"):
    return [ask(stack, address).status for _ in range(count)]


def decided(stack, by):
    """Decisions that were made by this side, as the metrics have them."""
    text = stack.get("/metrics").read().decode()
    return sum(float(line.split()[-1]) for line in text.splitlines()
               if line.startswith("bakame_limiter_decisions_total") and f'decided_by="{by}"' in line)


def wait_for_redis(stack, by):
    """Ask for others until a decision is made in this way again."""
    before, number = decided(stack, by), itertools.count(1)
    wait_until(lambda: ask(stack, f"2001:db8:0:{next(number):x}::1") and decided(stack, by) > before, 60,
               "a decision by " + by)


def warnings(stack):
    """Warnings and errors that were logged since the workers started."""
    said = []
    for worker in stack.workers:
        lines = worker.log()
        started = [line["message"] for line in lines].index("worker started")
        said += [line for line in lines[started:] if line["level"] in ("warn", "error")]
    return said


def assert_said_once(stack):
    """No line of a kind came twice, from whichever worker."""
    said = [(line["message"], line.get("to"), line.get("service")) for line in warnings(stack)]
    assert said and len(said) == len(set(said)), [worker.stderr() for worker in stack.workers]


def assert_exact(stack, address="192.0.2.1"):
    """Nothing of this address counted before: the limit and not one more."""
    assert statuses(stack, LIMIT + 3, address) == [200] * LIMIT + [429] * 3


# ---- in good health ----

def test_workers_of_all_hosts_share_one_limit(limited, start_redis):
    redis = start_redis()
    first, second = limited(redis.url), limited(redis.unix_url)     # two hosts: each has its own shared memory
    assert statuses(first, 3) == [200] * 3
    assert statuses(second, 3) == [200, 200, 429]
    assert statuses(first, 1) == [429]
    assert decided(first, "redis") == 4 and decided(first, "host") == 0


def test_a_key_is_one_string_that_expires(limited, start_redis):
    redis = start_redis()
    stack = limited(redis.url)
    statuses(stack, 8)
    assert redis.command("KEYS", "*") == [KEY.encode()]
    assert redis.command("TYPE", KEY) == b"string"
    assert redis.command("STRLEN", KEY) == 36 + 4 * LIMIT
    assert WINDOW * 500 < redis.command("PTTL", KEY) <= WINDOW * 1000 + 1


def test_headers_are_right_when_redis_decides(limited, start_redis):
    stack = limited(start_redis().url)
    for number in range(1, LIMIT + 1):
        assert ask(stack).headers["x-ratelimit-remaining"] == str(LIMIT - number)
    refused = ask(stack)
    assert refused.status == 429
    assert WINDOW / 2 <= int(refused.headers["retry-after"]) <= WINDOW
    assert refused.headers["ratelimit"] == f'"guest";r=0;t={refused.headers["retry-after"]}'


# ---- away ----

def test_killed_midway_nothing_is_forgotten_and_it_comes_back(limited, start_redis):
    redis = start_redis()
    stack = limited(redis.url, BREAKER_REDIS="2/1", REDIS_TIMEOUT_MS=1000)
    assert statuses(stack, 3) == [200] * 3
    redis.kill()
    assert statuses(stack, 4) == [200, 200, 429, 429]
    assert_exact(stack, "192.0.2.2")
    assert decided(stack, "host") > 0
    redis.start()                       # empty
    wait_for_redis(stack, "both")
    assert statuses(stack, 3) == [429] * 3
    assert statuses(stack, 3, "192.0.2.2") == [429] * 3
    assert_exact(stack, "192.0.2.3")


def test_frozen_midway_requests_are_served_and_limits_hold(limited, start_redis):
    redis = start_redis()
    stack = limited(redis.url, REDIS_TIMEOUT_MS=200, BREAKER_REDIS="2/1")
    assert statuses(stack, 3) == [200] * 3
    redis.freeze()
    assert statuses(stack, 4) == [200, 200, 429, 429]
    assert_exact(stack, "192.0.2.2")
    redis.thaw()
    wait_for_redis(stack, "both")
    assert statuses(stack, 3) == [429] * 3
    assert statuses(stack, 3, "192.0.2.2") == [429] * 3
    # what it found in its queue was too late to count: hits of the host, and no more
    assert redis.command("STRLEN", KEY) <= 36 + 4 * LIMIT
    assert_exact(stack, "192.0.2.3")


@pytest.mark.parametrize("keep", [True, False], ids=["full", "empty"])
def test_restarted_between_two_requests(limited, start_redis, keep):
    redis = start_redis()
    stack = limited(redis.url)
    assert statuses(stack, 3) == [200] * 3
    redis.restart(keep=keep)
    # at most the limit anew if its memory was lost unseen, never more
    assert statuses(stack, 3 * LIMIT).count(200) <= (LIMIT - 3 if keep else LIMIT)
    assert_exact(stack, "192.0.2.2")


def test_a_window_after_its_return_redis_decides_alone(limited, start_redis):
    redis = start_redis()
    stack = limited(redis.url, guest=f"{LIMIT}/1", BREAKER_REDIS="1/1", REDIS_TIMEOUT_MS=1000)
    redis.kill()
    ask(stack)
    redis.start()
    wait_for_redis(stack, "redis")


def test_what_redis_refuses_does_not_count_on_the_host(limited, start_redis):
    redis = start_redis()
    one, other = (limited(redis.url, BREAKER_REDIS="1/1", REDIS_TIMEOUT_MS=10000) for _ in range(2))
    redis.kill()
    ask(one, "192.0.2.9")
    redis.start()
    wait_for_redis(one, "both")
    wait_until(lambda: ask(other, "192.0.2.8") and decided(other, "both") + decided(other, "redis") > 0, what="Redis")
    assert_exact(other)
    assert statuses(one, 2 * LIMIT) == [429] * 2 * LIMIT        # both are asked; the other host has had them all
    redis.kill()
    assert_exact(one)                   # alone, this host knows of none


def test_away_from_the_start(limited):
    stack = limited("redis://127.0.0.1:1", REDIS_TIMEOUT_MS=200)
    assert_exact(stack)
    assert decided(stack, "host") == LIMIT + 3
    assert decided(stack, "redis") == 0


# ---- not well ----

def answering(data):
    """A server that sends this whatever it is asked; its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(50)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
                connection.recv(65536)
                connection.sendall(data)
            except OSError:
                return
    threading.Thread(target=serve, daemon=True).start()
    return listener


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", b"\x00\xff\xfe" * 1000,
                                  b"*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n" * 50, b"+OK\r\n" * 50, b"*-1\r\n", b"$999999999999\r\n",
                                  b""], ids=["http", "noise", "numbers", "ok", "nil", "huge", "silence"])
def test_what_is_no_redis_opens_no_gate(limited, data):
    listener = answering(data)
    try:
        stack = limited(f"redis://127.0.0.1:{listener.getsockname()[1]}", REDIS_TIMEOUT_MS=200, BREAKER_REDIS="3/600")
        assert_exact(stack)
        assert_exact(stack, "192.0.2.2")
        assert_said_once(stack)
    finally:
        listener.close()


def test_a_wrong_password(limited, start_redis):
    redis = start_redis(password="right-password")
    stack = limited(redis.url.replace("right-password", "wrong-password"), BREAKER_REDIS="3/600", REDIS_TIMEOUT_MS=1000)
    assert_exact(stack)
    assert_exact(stack, "192.0.2.2")
    assert_exact(stack, "192.0.2.3")
    assert_said_once(stack)
    assert "wrong-password" not in "".join(worker.stderr() for worker in stack.workers)


def test_a_redis_that_is_out_of_memory(limited, start_redis):
    redis = start_redis("--maxmemory-policy", "noeviction")
    stack = limited(redis.url, BREAKER_REDIS="3/600")
    assert statuses(stack, 3) == [200] * 3
    redis.command("CONFIG", "SET", "maxmemory", "1")
    assert statuses(stack, 4) == [200, 200, 429, 429]
    assert_exact(stack, "192.0.2.2")
    assert_exact(stack, "192.0.2.3")
    assert_said_once(stack)


def test_a_redis_that_only_reads(limited, start_redis):
    redis = start_redis()
    stack = limited(redis.url, BREAKER_REDIS="3/600")
    assert statuses(stack, 3) == [200] * 3
    redis.command("REPLICAOF", "127.0.0.1", "1")
    assert statuses(stack, 4) == [200, 200, 429, 429]
    assert_exact(stack, "192.0.2.2")
    assert_exact(stack, "192.0.2.3")
    assert_said_once(stack)


@pytest.mark.parametrize("put", [("LPUSH", KEY, "x"), ("SET", KEY, "what is this"), ("HSET", KEY, "a", "b"),
                                 ("SET", KEY, b"BKL1" + b"\xff" * 32)], ids=["list", "text", "hash", "broken"])
def test_something_else_under_our_key(limited, start_redis, put):
    redis = start_redis()
    stack = limited(redis.url)
    assert statuses(stack, 3) == [200] * 3
    redis.command("DEL", KEY)
    for _ in range(3):                  # again and again: still nobody gets more
        redis.command(*put)
        ask(stack, "192.0.2.1")
        redis.command("DEL", KEY)
    assert statuses(stack, 3) == [429] * 3
    said = warnings(stack)
    assert len(said) == 1, said
    assert said[0]["message"] == "Redis did not count a hit: the memory of this host decides"
    assert "something else" in json.dumps(said[0])


# ---- no shared memory ----

@pytest.fixture
def taken_name():
    """A name in /dev/shm that cannot be had: a directory has it."""
    path = Path("/dev/shm") / f"bakame-test-taken-{os.getpid()}"
    path.mkdir()
    yield "/" + path.name
    path.rmdir()


def test_without_shared_memory_each_worker_counts_by_itself(limited, start_redis, taken_name):
    redis = start_redis()
    stack = limited(redis.url, SHM_NAME=taken_name, BREAKER_REDIS="1/600", REDIS_TIMEOUT_MS=10000)
    assert_exact(stack)                 # Redis knows what all workers admitted
    redis.kill()
    admitted = statuses(stack, 10 * LIMIT, "192.0.2.2").count(200)
    assert LIMIT <= admitted <= len(stack.workers) * LIMIT
    told = [worker for worker in stack.workers
            if any("no shared memory" in line["message"] for line in worker.log())]
    assert len(told) == len(stack.workers)


# ---- the operator's hand ----

def bakamectl(stack, *words):
    settings = {name: value for name, value in stack.settings.items() if value is not None}
    return subprocess.run([CONTROL_PROGRAM, "limits", *words], env=environment(**settings), capture_output=True,
                          text=True, timeout=180)


def test_bakamectl_shows_a_limit_and_forgets_it(limited, start_redis):
    redis = start_redis()
    stack = limited(redis.url)
    assert_exact(stack)
    shown = bakamectl(stack, "g:192.0.2.1")
    assert shown.returncode == 0, shown
    assert re.fullmatch(rf"this host  {LIMIT} of {LIMIT} in the last {WINDOW} s, one less in \d+ s\n"
                        rf"Redis      {LIMIT} of {LIMIT} in the last {WINDOW} s, one less in \d+ s\n", shown.stdout)
    assert statuses(stack, 1) == [429]                  # looking counts nothing and frees nothing
    assert bakamectl(stack, "g:192.0.2.1", "--forget").returncode == 0
    assert_exact(stack)
    redis.kill()
    stack.settings["REDIS_TIMEOUT_MS"] = 1000
    away = bakamectl(stack, "g:192.0.2.1")
    assert away.returncode == 69 and away.stdout.startswith(f"this host  {LIMIT} of")


@pytest.mark.skipif(os.getuid() != 0, reason="who gives something away is root")
def test_bakamectl_shows_root_what_workers_of_another_user_count(limited, start_redis):
    """Where fs.protected_regular is on, as in Debian, root may not open it as if to make it."""
    stack = limited(start_redis().url)
    assert_exact(stack)
    os.chown("/dev/shm" + stack.settings["SHM_NAME"], 65534, -1)
    shown = bakamectl(stack, "g:192.0.2.1")
    assert shown.stdout.startswith(f"this host  {LIMIT} of"), shown


def test_bakamectl_makes_no_memory_of_its_own():
    name = f"/bakame-test-nobody-{os.getpid()}"
    shown = subprocess.run([CONTROL_PROGRAM, "limits", "g:192.0.2.1"], capture_output=True, text=True, timeout=180,
                           env=environment(BAKAME_ENV="development", SHM_NAME=name))
    assert shown.returncode == 0 and "nothing" in shown.stdout
    assert not Path("/dev/shm" + name).exists()
    bad = subprocess.run([CONTROL_PROGRAM, "limits", "nonsense"], capture_output=True, text=True, timeout=180,
                         env=environment(BAKAME_ENV="development", SHM_NAME=name))
    assert bad.returncode == 65 and "nonsense" in bad.stderr
