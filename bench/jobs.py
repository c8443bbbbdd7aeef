#!/usr/bin/python3
"""jobs.py - does the queue keep its word?  Jobs by the ten thousand while those who do them, and Redis, are killed.

    bench/jobs.py [--jobs 100000] [--consumers 4] [--every 0.5] [--redis-every 10] [--seed 1]

Half of the jobs are in groups that must run in order.  Redis writes its log to disk at each command and is
killed with SIGKILL every --redis-every seconds (0: never), consumers at random.  Says what was found;
exit status 1 when a job was lost, its effect is there twice, or a group ran out of order.
Wants a built tree (make check builds what it starts); BAKAME_BUILD names another one than this.
"""
import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP / "tests" / "mock"), str(TOP / "tests" / "http")]

import jobs as queue_under_test  # noqa: E402
from redis_server import RedisServer  # noqa: E402

GROUP = 50


def make_jobs(count):
    """Each other one is of a group."""
    rows = []
    for n in range(count):
        group = f"group{n // 2 // GROUP}" if n % 2 else None
        rows.append(("order", f"{group}:{n}", group, "") if group else ("count", f"job{n}", None, ""))
    return rows


def patient(connect):
    """An answer of Redis, though it is just being killed."""
    while True:
        try:
            return connect()
        except Exception:
            time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--consumers", type=int, default=4)
    parser.add_argument("--every", type=float, default=0.5)
    parser.add_argument("--redis-every", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = make_jobs(options.jobs)
    with tempfile.TemporaryDirectory(prefix="bakame-jobs-") as directory:
        redis = RedisServer(Path(directory) / "redis", "--appendonly", "yes", "--appendfsync", "always",
                            "--auto-aof-rewrite-percentage", "0")
        queue = queue_under_test.Queue(directory, redis, QUEUE_MAX_JOBS=10_000_000, LOG_LEVEL="error", JOBS_LEASE_SECONDS=1,
                                       REDIS_TIMEOUT_MS=2000, BREAKER_REDIS="1000/1")
        try:
            return run(options, rows, redis, queue)
        finally:
            queue.close()
            redis.stop()


def run(options, rows, redis, queue):
    began = time.monotonic()
    added = {}
    # those of groups one after the other, the rest many at a time; both while the killing goes on
    parts = {"alone": [row for row in rows if row[2] is None], "in groups": [row for row in rows if row[2]]}

    def add(name, *flags):
        added[name] = queue.add(*parts[name], options=["--persist", *flags], timeout=3000)

    adders = [threading.Thread(target=add, args=("alone",)), threading.Thread(target=add, args=("in groups", "--in-order"))]
    for adder in adders:
        adder.start()

    def over():
        return not any(adder.is_alive() for adder in adders) and patient(queue.left) == 0

    killed, redis_killed = queue_under_test.torment(queue, options.consumers, over, options.every, options.seed,
                                                    options.redis_every or None)
    seconds = time.monotonic() - began
    effects = queue.effects()
    groups = {}
    for _, key, group, _ in parts["in groups"]:
        groups.setdefault(group, []).append(key)
    out_of_order = [group for group, keys in groups.items() if queue.texts(f"order:{group}") != keys]
    lost = len({row[1] for row in rows} - effects)
    twice = queue.number("count") - len(parts["alone"])
    dead = queue.stats()["dead"]
    print(f"{len(rows)} jobs in {seconds:.0f} s; {killed} consumers and {redis_killed} Redises killed")
    print(f"added: {added}")
    print(f"effects {len(effects)}, lost {lost}, twice {twice}, dead letters {dead}, groups out of order {len(out_of_order)}")
    print(f"runs of a job whose effect was there already (and did nothing): {queue.number('repeats')}")
    return 0 if lost == twice == dead == len(out_of_order) == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
