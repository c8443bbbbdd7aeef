"""What is put off is done: once, in order, whoever is killed meanwhile."""
import itertools
import re
import signal
import subprocess

import pytest

from jobs import JOBS_PROGRAM, Queue, assert_each_once, crash, torment
from redis_server import RedisServer
from stack import wait_until

MANY = 5000


@pytest.fixture
def make_queue(tmp_path, redis):
    queues = []

    def make(**settings):
        queues.append(Queue(tmp_path, redis, **settings))
        return queues[-1]
    yield make
    for queue in queues:
        queue.close()


@pytest.fixture
def queue(make_queue):
    return make_queue()


@pytest.fixture
def hasty(make_queue):
    """Where whoever is silent for a second is followed by another."""
    return make_queue(JOBS_LEASE_SECONDS=1)


def jobs(kind, keys, group=None, payload=""):
    return [(kind, key, group, payload) for key in keys]


def names(count, start=1):
    return [f"job-{n}" for n in range(start, start + count)]


def test_a_job_that_is_added_twice_is_done_once(queue):
    assert queue.add(*jobs("count", ["one"])) == (1, 0, 0, "")
    assert queue.add(*jobs("count", ["one"])) == (0, 1, 0, "")
    queue.start()
    queue.wait_done()
    assert queue.add(*jobs("count", ["one"])) == (0, 1, 0, "")
    assert queue.add(*jobs("slow", ["one"]))[0] == 1     # of another kind: another job
    queue.wait_done()
    assert queue.number("count") == 1 and queue.number("repeats") == 1


def test_each_effect_is_there_once_though_consumers_are_killed(hasty):
    keys = names(MANY)
    assert hasty.add(*jobs("count", keys, payload="10"))[0] == MANY     # 2 s of work for three
    killed, _ = torment(hasty, 3, lambda: hasty.left() == 0, every=0.12)
    assert killed >= 3
    assert_each_once(hasty, keys)


def test_adding_goes_on_while_consumers_are_killed(hasty):
    first, second = names(300), names(300, start=301)
    hasty.add(*jobs("slow", first, payload="5"))
    hasty.start()
    assert hasty.add(*jobs("slow", second, payload="5"))[0] == 300
    torment(hasty, 2, lambda: hasty.left() == 0, every=0.2)
    assert_each_once(hasty, first + second)


def test_a_group_runs_in_order_though_consumers_are_killed_and_jobs_fail(hasty):
    groups = {f"group{g}": [f"group{g}:{n}" for n in range(20)] for g in range(15)}
    rows = [("order", keys[n], group, 2 if n % 7 == 3 else "") for n in range(20) for group, keys in groups.items()]
    assert hasty.add(*rows, options=["--in-order"])[0] == len(rows)
    torment(hasty, 3, lambda: hasty.left() == 0, every=0.3)
    for group, keys in groups.items():
        assert hasty.texts(f"order:{group}") == keys
        ran = hasty.texts(f"ran:{group}")
        # not even tries of a later one come before an earlier one is done
        assert ran == sorted(ran, key=lambda key: int(key.partition(":")[2]))
    assert hasty.stats()["dead"] == 0


def test_groups_do_not_wait_for_each_other(queue):
    queue.add(("held", "first", "a", ""), ("count", "second", "a", ""), ("count", "third", "b", ""),
              options=["--in-order"])
    queue.start()
    wait_until(lambda: queue.effects() == {"third"})
    assert queue.listed()["second"][1] == "waiting"
    queue.let_go()
    queue.wait_done()


def test_a_failed_job_is_tried_again(queue):
    queue.add(("fail", "twice", None, 2))
    consumer = queue.start()
    queue.wait_done()
    assert queue.effects() == {"twice"}
    assert [line["tries"] for line in consumer.log("job failed; it will be tried again")] == [1, 2]


def test_after_five_tries_a_job_is_a_dead_letter_that_can_be_tried_anew_or_dropped(queue):
    queue.add(("fail", "bad", None, 5), ("fail", "worse", "group", 100), ("count", "next", "group", ""),
              options=["--in-order"])
    queue.start()
    wait_until(lambda: queue.stats()["dead"] == 2)
    wait_until(lambda: queue.effects() == {"next"})     # a dead one holds nobody back
    listed = queue.listed()
    assert {key: row[1:] for key, row in listed.items()} == {"bad": ("dead", 5), "worse": ("dead", 5)}
    assert "fail bad: try 5 of many" in queue.control("list")[1]
    assert queue.add(("fail", "bad", None, 5))[:2] == (0, 1)
    assert queue.control("drop", listed["bad"][0])[:2] == (0, "1 dropped\n")
    assert queue.control("drop", listed["bad"][0])[0] == 65
    assert queue.add(("fail", "bad", None, 4))[:2] == (1, 0)
    wait_until(lambda: "bad" in queue.effects())
    assert queue.control("retry", "all")[:2] == (0, "1 to be tried again\n")
    wait_until(lambda: queue.stats()["dead"] == 1)
    assert queue.control("drop", "all")[:2] == (0, "1 dropped\n")
    assert queue.stats() == {"waiting": 0, "running": 0, "delayed": 0, "dead": 0, "oldest": 0}


def test_what_no_repetition_mends_is_dead_at_once(queue):
    queue.add(("hopeless", "one", None, ""))
    queue.start()
    wait_until(lambda: queue.stats()["dead"] == 1)
    assert queue.listed()["one"][2] == 1


def test_while_its_service_is_away_a_job_waits_and_does_not_die(queue):
    queue.redis.command("SET", "test:away", "yes")
    queue.add(("away", "one", None, ""))
    consumer = queue.start()
    wait_until(lambda: len(consumer.log("job failed; it will be tried again")) >= 3)
    assert queue.listed()["one"][2] == 0        # none of them was a try
    queue.redis.command("DEL", "test:away")
    queue.wait_done()
    assert queue.effects() == {"one"}


def test_a_job_that_nobody_knows_waits_for_someone_who_does(queue):
    queue.add(("unheard-of", "one", None, ""))
    consumer = queue.start()
    wait_until(lambda: consumer.log("job failed; it will be tried again"))
    assert queue.stats()["dead"] == 0


def test_a_full_queue_says_so_and_loses_nothing(queue):
    added, duplicate, refused, said = queue.add(*jobs("count", names(20)), QUEUE_MAX_JOBS=12)
    assert (added, duplicate, refused) == (12, 0, 8) and "QUEUE_MAX_JOBS" in said
    queue.start()
    queue.wait_done()
    assert len(queue.effects()) == 12
    assert queue.add(*jobs("count", names(20)), QUEUE_MAX_JOBS=12)[:2] == (8, 12)


def test_without_redis_whoever_adds_is_told_at_once(make_queue):
    queue = make_queue(REDIS_TIMEOUT_MS=500)
    queue.redis.kill()
    assert queue.add(*jobs("count", ["one"]))[:3] == (0, 0, 1)
    assert queue.control("list")[0] == 69
    queue.redis.start()
    assert queue.add(*jobs("count", ["one"]), REDIS_TIMEOUT_MS=30000)[0] == 1


def test_a_redis_that_crashes_loses_nothing_that_was_accepted(tmp_path):
    redis = RedisServer(tmp_path / "durable", "--appendonly", "yes", "--appendfsync", "always")
    queue = Queue(tmp_path, redis, JOBS_LEASE_SECONDS=1)
    keys = names(400)
    try:
        queue.add(*jobs("slow", keys, payload="10"))
        queue.start(2)
        for _ in range(3):
            done = len(queue.effects())
            wait_until(lambda: len(queue.effects()) > min(done + 20, len(keys) - 1))
            crash(redis)
        queue.wait_done()
        assert_each_once(queue, keys)
    finally:
        queue.close()
        redis.stop()


def test_told_to_end_it_ends_what_it_does_and_no_more(make_queue):
    queue = make_queue(JOBS_CONCURRENCY=2)
    queue.add(*jobs("held", names(6)))
    consumer = queue.start()
    wait_until(lambda: len(queue.texts("began")) == 2)
    consumer.signal(signal.SIGTERM)
    wait_until(lambda: consumer.log("draining"))
    queue.let_go()
    assert consumer.process.wait(60) == 0
    assert len(queue.effects()) == 2
    left = queue.stats()
    assert left == {"waiting": 4, "running": 0, "delayed": 0, "dead": 0, "oldest": left["oldest"]}


def test_what_outlasts_the_drain_is_given_back_and_done_by_another_at_once(make_queue):
    queue = make_queue(DRAIN_SECONDS=1, JOBS_LEASE_SECONDS=3600)
    queue.add(("held", "long", None, ""))
    first = queue.start()
    wait_until(lambda: queue.texts("began"))
    first.signal(signal.SIGTERM)
    assert first.process.wait(60) == 0
    assert first.log("job given back")
    assert queue.listed()["long"][1:] == ("waiting", 0)
    queue.start()
    queue.let_go()
    queue.wait_done()
    assert queue.effects() == {"long"}


def test_a_consumer_that_was_frozen_lets_go_of_what_another_took_over(hasty):
    hasty.add(("held", "one", None, ""))
    frozen = hasty.start()
    wait_until(lambda: hasty.texts("began"))
    frozen.process.send_signal(signal.SIGSTOP)
    hasty.start()
    wait_until(lambda: len(hasty.texts("began")) == 2)
    frozen.process.send_signal(signal.SIGCONT)
    wait_until(lambda: frozen.log("job taken over by another: its consumer was not heard of in time"))
    hasty.let_go()
    hasty.wait_done()
    assert hasty.number("count") == 1 and hasty.number("repeats") == 0


def test_a_long_job_is_not_taken_over_while_its_consumer_lives(make_queue):
    """Unless the machine stands still for longer than one may be silent.  Who does one at a time looks for no other meanwhile,
    and so would not claim its own."""
    hasty = make_queue(JOBS_LEASE_SECONDS=1, JOBS_CONCURRENCY=1)
    hasty.start(2)
    keys = itertools.count(1)

    def done_by_one():
        key = f"long-{next(keys)}"
        hasty.add(("slow", key, None, 3500))
        hasty.wait_done()
        return hasty.texts("began").count(key) == 1
    wait_until(done_by_one, 120, "a job that one consumer does")


def test_a_clock_that_is_put_back_keeps_no_job_from_being_done(queue):
    """That of Redis, or of the host that takes its place: what waits was then added in the future."""
    keys = names(3)
    queue.add(*jobs("count", keys))
    for job in queue.redis.command("KEYS", "{bakame:queue}:job:*"):
        queue.redis.command("HINCRBY", job, "added", 3_600_000)
    queue.start()
    wait_until(lambda: queue.effects() == set(keys) and queue.left() == 0, what="all of them to be done")


def test_a_clock_that_is_put_back_keeps_no_job_from_being_tried_again(make_queue):
    queue = make_queue(JOBS_RETRY_MS=60000)
    queue.add(("fail", "once", None, 1))
    queue.start()
    wait_until(lambda: queue.stats()["delayed"] == 1)
    (job,) = queue.redis.command("ZRANGE", "{bakame:queue}:delayed", 0, -1)
    queue.redis.command("ZINCRBY", "{bakame:queue}:delayed", 3_600_000, job)
    wait_until(lambda: queue.effects() == {"once"}, what="the second try")


def test_a_large_payload_arrives_whole(queue):
    payload = "0" * 1_000_000 + "7"
    queue.add(("slow", "large", None, payload))
    queue.start()
    queue.wait_done()
    assert queue.effects() == {"large"}


def test_large_payloads_are_taken_no_more_at_a_time_than_fit_into_an_answer(queue):
    keys = names(6)
    assert queue.add(*jobs("slow", keys, payload="0" * 900_000))[0] == len(keys)
    consumer = queue.start()
    queue.wait_done()
    assert queue.effects() == set(keys)
    assert not consumer.log("the queue cannot be read; trying again")


def test_something_of_another_type_under_its_keys_stops_the_queue_but_not_the_program(queue):
    queue.redis.command("SET", "{bakame:queue}:ready", "something else")
    added, _, refused, _ = queue.add(*jobs("count", ["one"]))
    assert (added, refused) == (0, 1)
    consumer = queue.start()
    wait_until(lambda: consumer.log("the queue cannot be read; trying again"))
    queue.redis.command("DEL", "{bakame:queue}:ready")
    assert queue.add(*jobs("count", ["one"]))[0] == 1
    queue.wait_done()


def test_what_was_counted_is_in_the_metrics_of_the_host(start_stack, make_queue):
    queue = make_queue()
    stack = start_stack(SHM_NAME=queue.shm_name)
    queue.add(("count", "one", None, ""), ("fail", "two", None, 1), ("hopeless", "three", None, ""))
    queue.start()
    wait_until(lambda: queue.stats()["dead"] == 1 and queue.left() == 0)

    def counted():
        with stack.fastcgi() as connection:
            text = connection.ask("GET", "/metrics").body.decode()
        return all(f'bakame_queue_jobs_total{{kind="{kind}",result="{result}"}} 1' in text for kind, result in (
            ("count", "done"), ("fail", "retried"), ("fail", "done"), ("hopeless", "dead")))
    wait_until(counted)


def test_the_queue_is_in_the_metrics_though_nobody_works_on_it(start_stack, make_queue):
    queue = make_queue()
    stack = start_stack(REDIS_URL=queue.redis.url, REDIS_TIMEOUT_MS=1000)

    def told():
        with stack.fastcgi() as connection:
            text = connection.ask("GET", "/metrics").body.decode()
        return dict(re.findall(r"^bakame_queue_(\w+) (\d+)$", text, re.M))
    wait_until(lambda: told() == {"length": "0", "oldest_seconds": "0", "dead_letters": "0"})
    queue.add(("count", "one", None, ""), ("count", "two", None, ""))
    wait_until(lambda: told().get("length") == "2" and int(told().get("oldest_seconds", 0)) >= 1)
    queue.redis.kill()
    assert told() == {}


def test_bakame_jobs_itself_starts_and_ends(queue):
    consumer = queue.start(program=JOBS_PROGRAM)
    wait_until(lambda: consumer.log("jobs started"))
    consumer.signal(signal.SIGTERM)
    assert consumer.process.wait(60) == 0


def test_without_a_redis_configured_it_says_so(queue):
    env = {name: value for name, value in queue.env.items() if name != "REDIS_URL"}
    done = subprocess.run([str(JOBS_PROGRAM)], env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 69 and "REDIS_URL is not set" in done.stderr


def test_settings_with_a_fault_are_another_end(queue):
    """Its unit tries again after that one, and not where there is no queue."""
    done = subprocess.run([str(JOBS_PROGRAM)], env={**queue.env, "MAX_STREAMS": "many"}, capture_output=True, text=True, timeout=180)
    assert done.returncode == 78 and "MAX_STREAMS: " in done.stderr
