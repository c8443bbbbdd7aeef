"""jobs.py - bakame-jobs under test, with kinds of jobs whose effects are seen in Redis (tests/programs/test_jobs.c)."""
import itertools
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import process
from stack import wait_until
from worker import BUILD, CONTROL_PROGRAM, SANITIZER_REPORTS, environment, require_build

JOBS_PROGRAM = BUILD / "src" / "bakame-jobs"
TEST_PROGRAM = BUILD / "tests" / "programs" / "test-jobs"
ADD_PROGRAM = BUILD / "tests" / "programs" / "queue-add"
ADD_SECONDS = 100


class Consumer:
    """One process; `queue` is whose."""

    def __init__(self, queue, number, program=TEST_PROGRAM):
        require_build(program)
        self.queue = queue
        self.log_path = queue.directory / f"jobs-{number}.log"
        self.ended_by_test = False
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([str(program)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=log, env=queue.env, preexec_fn=process.end_with_parent)

    def stderr(self):
        return self.log_path.read_text(errors="replace")

    def log(self, message):
        """The lines with this message."""
        lines = [json.loads(line) for line in self.stderr().split("\n")[:-1]]
        return [line for line in lines if line["message"] == message]

    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        self.ended_by_test = True
        self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def finish(self):
        """End it, and fail if it did not live or end as it should."""
        if not self.ended_by_test:
            process.wait_heeds_term(self.process)
        report = self.stderr()
        assert self.alive() or self.ended_by_test, f"a bakame-jobs ended by itself: {report[-4000:]}"
        status = process.stop(self.process, told=self.ended_by_test)
        report = self.stderr()
        assert not any(words in report for words in SANITIZER_REPORTS), report
        assert status in (0, -signal.SIGKILL), f"a bakame-jobs ended with status {status}:\n{report[-4000:]}"


class Queue:
    """The queue in a Redis, those who work on it, and what they did."""
    numbers = itertools.count(1)

    def __init__(self, directory, redis, **settings):
        self.directory = Path(directory)
        self.redis = redis
        self.shm_name = f"/bakame-test-jobs-{os.getpid()}-{next(self.numbers)}"
        self.env = environment(**{
            "BAKAME_ENV": "development", "REDIS_URL": redis.url, "SHM_NAME": self.shm_name, "LOG_FORMAT": "json",
            "DRAIN_SECONDS": 20, "JOBS_LEASE_SECONDS": 60, "JOBS_RETRY_MS": 10, "REDIS_TIMEOUT_MS": 30000, **settings})
        self.consumers = []

    def start(self, count=1, **options):
        started = [Consumer(self, len(self.consumers) + i, **options) for i in range(count)]
        self.consumers += started
        return started[0]

    def add(self, *jobs, options=(), timeout=ADD_SECONDS, **settings):
        """Add jobs (kind, key, group or None, payload); (added, duplicate, refused, what the last refusal said)."""
        require_build(ADD_PROGRAM)
        lines = "".join(f"{kind}\t{key}\t{group or '-'}\t{payload}\n" for kind, key, group, payload in jobs)
        env = {**self.env, **environment(**settings)} if settings else self.env
        done = subprocess.run([str(ADD_PROGRAM), *options], input=lines, env=env, text=True, capture_output=True,
                              timeout=timeout, check=True)
        assert not any(words in done.stderr for words in SANITIZER_REPORTS), done.stderr
        first, _, rest = done.stdout.partition("\n")
        return (*(int(part.split()[0]) for part in first.split(",")), rest.strip())

    def control(self, *arguments):
        """bakamectl jobs: (exit status, output, complaints)"""
        done = subprocess.run([str(CONTROL_PROGRAM), "jobs", *arguments], env=self.env, text=True, capture_output=True,
                              timeout=ADD_SECONDS)
        return done.returncode, done.stdout, done.stderr

    def stats(self):
        status, output, complaints = self.control("stats")
        assert status == 0, complaints
        return {line.split()[0]: int(line.split()[1]) for line in output.splitlines()}

    def listed(self):
        """{key: (id, state, tries)}"""
        status, output, complaints = self.control("list")
        assert status == 0, complaints
        rows = [line.split() for line in output.splitlines()]
        return {row[7].rstrip(":"): (row[0], row[1], int(row[2])) for row in rows}

    def left(self):
        """How many jobs are still to be done."""
        return self.redis.command("ZCARD", "{bakame:queue}:jobs")

    def let_go(self):
        """Of jobs of the kind "held"."""
        self.redis.command("SET", "test:go", "yes")

    def wait_done(self, seconds=120):
        wait_until(lambda: self.left() == 0, seconds, "the end of all jobs")

    def number(self, name):
        return int(self.redis.command("GET", f"test:{name}") or 0)

    def effects(self):
        return {key.decode() for key in self.redis.command("SMEMBERS", "test:effects")}

    def texts(self, name):
        return [text.decode() for text in self.redis.command("LRANGE", f"test:{name}", 0, -1)]

    def close(self):
        faults = []
        for consumer in self.consumers:
            try:
                consumer.finish()
            except AssertionError as fault:
                faults.append(str(fault))
        Path("/dev/shm" + self.shm_name).unlink(missing_ok=True)
        assert not faults, "\n".join(faults)


def torment(queue, consumers, until, every, seed=1, redis_every=None):
    """Keep so many at work and kill one about every `every` seconds, and Redis too if asked, until done.

    Returns how many consumers and how many Redises were killed."""
    chance = random.Random(seed)
    working, killed, redis_killed = [], 0, 0
    redis_at = time.monotonic() + redis_every if redis_every else None
    while not until():
        while len(working) < consumers:
            working.append(queue.start())
        time.sleep(every * chance.uniform(0.5, 1.5))
        # on a slow machine whoever is killed so often never does anything
        left = queue.left()
        wait_until(lambda: until() or queue.left() < left, 120, "a job that is done")
        working.pop(chance.randrange(len(working))).kill()
        killed += 1
        if redis_at and time.monotonic() > redis_at:
            crash(queue.redis)
            redis_killed += 1
            redis_at = time.monotonic() + redis_every
    for consumer in working:
        assert consumer.alive() or consumer.ended_by_test
    return killed, redis_killed


def crash(redis):
    """Kill it and start it again with what it had written."""
    redis.process.kill()
    redis.process.wait()
    redis.start()


def assert_each_once(queue, keys):
    """Every job is done, its effect is there once, and nothing else is."""
    assert queue.effects() == set(keys)
    assert queue.number("count") == len(keys)
    assert queue.stats() == {"waiting": 0, "running": 0, "delayed": 0, "dead": 0, "oldest": 0}
