#!/usr/bin/python3
"""limits.py - does the limiter do what doc/limits.md says, whatever happens to Redis?

    tests/oracle/limits.py [--requests 1000000] [--per-second 10000] [--build .]

Four processes ask limiter_hit() about 1,000 keys while Redis is killed, frozen, started again empty and with its data.
Then each decision is judged by what was admitted in the window before it:

  * While one side alone decided, for a window and more: exactly, in order of that side's clock.  Nobody is admitted
    over the limit, nobody refused under it, and what is said to remain is what remains.
  * Elsewhere (a switch-over): at most once the limit over it.  Refusals under the limit are counted.
  * Each time that is given lies between question and answer.
"""
import argparse
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "http"), str(HERE.parent / "mock")]

from redis_server import RedisServer  # noqa: E402

WORKERS = 4
RECORD = struct.Struct("<IBBHqqq")
COUNTS = (1, 2, 5, 10, 30, 100, 1000)
NOBODY, REDIS, HOST, BOTH = range(4)
SIDES = ("nobody", "Redis", "host", "both")
EXAMPLES = 8
SECOND = 1_000_000
TIMEOUT_MS = 300
# How long after it happened a hit may have been written down on the other side, and a little for the clocks.
SLACK = (TIMEOUT_MS + 200) * 1000
CLOCKS_DIFFER = 3_000
# When it all takes so many times as long as planned, and so much longer, somebody hangs.
PATIENCE = 6
PATIENCE_SECONDS = 300


def limit_of(key):
    return COUNTS[key % 7], (1 + key % 2) * SECOND


class Disturbances:
    """What happens to Redis, in turns, and when."""

    def __init__(self, redis):
        self.redis = redis
        self.spans = []
        self.kinds = defaultdict(int)
        self.turns = [self.killed_for_a_while_then_empty, self.frozen, self.restarted_full, self.frozen_briefly,
                      self.restarted_empty, self.killed_for_a_while_then_full]

    def go_on(self, number, scale):
        turn = self.turns[number % len(self.turns)]
        self.kinds[turn.__name__] += 1
        began = now_us()
        turn(scale)
        self.spans.append((began, now_us()))

    def killed_for_a_while_then_empty(self, scale):
        self.redis.kill()
        time.sleep(3 * scale)
        self.redis.start()

    def killed_for_a_while_then_full(self, scale):
        self.redis.command("SAVE")
        self.redis.process.kill()
        self.redis.process.wait()
        time.sleep(2 * scale)
        self.redis.start()

    def frozen(self, scale):
        self.redis.freeze()
        time.sleep(3 * scale)
        self.redis.thaw()

    def frozen_briefly(self, scale):
        self.redis.freeze()
        time.sleep(1.5 * TIMEOUT_MS / 1000)
        self.redis.thaw()

    def restarted_full(self, scale):
        self.redis.restart(keep=True)

    def restarted_empty(self, scale):
        self.redis.restart(keep=False)


def now_us():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def start_workers(build, directory, redis, requests, per_second, shm_name):
    env = {"PATH": os.environ["PATH"], "BAKAME_ENV": "development", "SHM_NAME": shm_name, "REDIS_URL": redis.unix_url,
           "REDIS_TIMEOUT_MS": str(TIMEOUT_MS), "BREAKER_REDIS": "10/1", "LIMITER_KEYS": "4096"}
    env.update((name, value) for name, value in os.environ.items() if name.endswith("SAN_OPTIONS"))
    return [subprocess.Popen(
        [build / "tests/oracle/limits-worker", str(requests // WORKERS), str(per_second / WORKERS), str(number),
         directory / f"decisions-{number}"],
        env=env, stdout=subprocess.PIPE, stderr=open(directory / f"worker-{number}.log", "wb"))
        for number in range(WORKERS)]


def tell_how_they_ended(workers, directory):
    """Each one's end and last words; the others may have seen what one died of."""
    lines = []
    for number, worker in enumerate(workers):
        code = worker.poll()
        how = "runs" if code is None else f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        records = directory / f"decisions-{number}"
        done = records.stat().st_size // RECORD.size if records.exists() else 0
        said = (directory / f"worker-{number}.log").read_text(errors="replace")[-3000:]
        lines.append(f"worker {number} {how} after {done} decisions; it said: {said or 'nothing'}")
    return "\n".join(lines)


def replay(build, directory, requests, per_second, scale=1.0, calm=5.0):
    """Run it all; the decisions by key, and what happened to Redis."""
    shm_name = f"/bakame-oracle-{os.getpid()}"
    redis = RedisServer(directory / "redis")
    disturbances = Disturbances(redis)
    workers = start_workers(build, directory, redis, requests, per_second, shm_name)
    try:
        first_line = workers[0].stdout.readline()
        assert first_line, workers[0].wait() and tell_how_they_ended(workers, directory)
        ahead = int(first_line)
        time.sleep(4 * scale)
        number = 0
        overdue = time.monotonic() + PATIENCE * requests / per_second + PATIENCE_SECONDS
        while any(worker.poll() is None for worker in workers):
            assert time.monotonic() < overdue, tell_how_they_ended(workers, directory)
            disturbances.go_on(number, scale)
            number += 1
            calm_until = time.monotonic() + calm * scale
            while time.monotonic() < calm_until and any(worker.poll() is None for worker in workers):
                time.sleep(0.05)
        assert all(worker.wait() == 0 for worker in workers), tell_how_they_ended(workers, directory)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
            worker.stdout.close()
        redis.stop()
        Path("/dev/shm" + shm_name).unlink(missing_ok=True)
    return read_decisions(directory, ahead), disturbances


def read_decisions(directory, ahead):
    """For each key (time by the monotonic clock, refused, by, remaining, before, after), in order."""
    by_key = defaultdict(list)
    for number in range(WORKERS):
        data = (directory / f"decisions-{number}").read_bytes()
        for key, admitted, by, remaining, at, before, after in RECORD.iter_unpack(data):
            by_key[key].append((at - ahead if by == REDIS else at, 1 - admitted, by, remaining, before, after))
    for decisions in by_key.values():
        # of one microsecond: in the order in which the remainder shrank
        decisions.sort(key=lambda d: (d[0], d[1], -d[3]))
    return by_key


class Verdict:
    def __init__(self):
        self.decisions = self.admitted = 0
        self.by = [0] * 4
        self.alone = [0] * 4
        self.alone_refused = [0] * 4
        self.over_alone = self.refused_wrongly_alone = self.remaining_wrong = 0
        self.switching = self.over_switching = self.refused_under_limit_switching = 0
        self.most_over = 0.0            # as a part of the limit
        self.beyond = 0                 # more than once the limit over it
        self.times_wrong = 0
        self.examples = []

    def show(self, key, index, decisions, live, changed):
        """A decision that was wrong, and what went before it."""
        if len(self.examples) < EXAMPLES:
            at, refused, by, remaining, before, after = decisions[index]
            count, window = limit_of(key)
            near = decisions[max(0, index - 2 * count - 20):index]
            self.examples.append(
                f"key {key} ({count} in {window // SECOND} s): {'refused' if refused else 'admitted'} by {SIDES[by]}, {remaining} said to "
                f"remain, where there were {live}; alone for {(at - changed) / SECOND:.3f} s; slowest decision before it "
                f"{max((late - sent for *_, sent, late in near), default=0) / SECOND:.3f} s, its own {(after - before) / SECOND:.3f} s; "
                f"sides before it: {''.join(SIDES[d[2]][0] for d in near[-60:])}")

    def sound(self):
        return not (self.over_alone or self.refused_wrongly_alone or self.remaining_wrong or self.beyond
                    or self.times_wrong)


def disturbed(spans, since, until):
    return any(began <= until and ended >= since for began, ended in spans)


def judge(by_key, spans):
    verdict = Verdict()
    for key, decisions in by_key.items():
        judge_key(verdict, key, decisions, spans)
    return verdict


def judge_key(verdict, key, decisions, spans):
    count, window = limit_of(key)
    admitted = []                       # times
    first = 0                           # of those in the window
    changed = decisions[0][0] - 10 * window     # until when another side than this one may have written
    side = decisions[0][2]
    # Who was stopped by the machine between one side's word and the other's table writes there so much later: until its
    # decision has ended.
    ended = 0
    for index, (at, refused, by, remaining, before, after) in enumerate(decisions):
        verdict.decisions += 1
        verdict.by[by] += 1
        if not before - CLOCKS_DIFFER <= at <= after + CLOCKS_DIFFER:
            verdict.times_wrong += 1
        if by != side:
            side, changed = by, max(at, ended)
        ended = max(ended, after)
        if not refused:
            verdict.admitted += 1
            admitted.append(at)
        while first < len(admitted) and at - admitted[first] >= window:
            first += 1
        live = len(admitted) - first
        since = at - window - SLACK
        alone = (by in (REDIS, HOST) and changed < since
                 and not (by == REDIS and disturbed(spans, since, after)))
        if alone:
            verdict.alone[by] += 1
            verdict.alone_refused[by] += refused
            verdict.over_alone += live > count
            verdict.refused_wrongly_alone += refused and live < count
            verdict.remaining_wrong += remaining != max(0, count - live)
            if live > count or (refused and live < count) or remaining != max(0, count - live):
                verdict.show(key, index, decisions, live, changed)
        else:
            verdict.switching += 1
            verdict.over_switching += live > count and not refused
            verdict.refused_under_limit_switching += refused and live < count
            verdict.most_over = max(verdict.most_over, (live - count) / count)
            verdict.beyond += live > 2 * count


def log_lines(directory):
    """What the workers said, and how often."""
    said = defaultdict(int)
    for number in range(WORKERS):
        for line in (directory / f"worker-{number}.log").read_text(errors="replace").splitlines():
            try:
                said[json.loads(line)["message"]] += 1
            except (ValueError, KeyError):
                said[line] += 1
    return dict(said)


def report(verdict, disturbances, said):
    lines = [
        f"{verdict.decisions} decisions, {verdict.admitted} admitted; by Redis {verdict.by[REDIS]}, "
        f"by the host {verdict.by[HOST]}, by both {verdict.by[BOTH]}",
        "Redis was " + ", ".join(f"{kind.replace('_', ' ')} {times} x" for kind, times in disturbances.kinds.items()),
        f"Redis alone:   {verdict.alone[REDIS]} decisions, {verdict.alone_refused[REDIS]} refused",
        f"host alone:    {verdict.alone[HOST]} decisions, {verdict.alone_refused[HOST]} refused",
        f"there:         {verdict.over_alone} over-admitted, {verdict.refused_wrongly_alone} wrongly refused, "
        f"{verdict.remaining_wrong} with a wrong remainder",
        f"switching:     {verdict.switching} decisions, {verdict.over_switching} admitted over the limit "
        f"(at most {verdict.most_over:.2f} x the limit over it; more than 1 x: {verdict.beyond}), "
        f"{verdict.refused_under_limit_switching} refused under it",
        f"times outside question and answer: {verdict.times_wrong}",
        "log: " + "; ".join(f"{text} ({times} x)" for text, times in said.items()),
        *verdict.examples,
        "SOUND" if verdict.sound() else "NOT SOUND",
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--per-second", type=float, default=10_000)
    parser.add_argument("--build", type=Path, default=HERE.parents[1])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bakame-oracle-") as directory:
        directory = Path(directory)
        by_key, disturbances = replay(options.build, directory, options.requests, options.per_second, calm=10)
        verdict = judge(by_key, disturbances.spans)
        print(report(verdict, disturbances, log_lines(directory)))
    return 0 if verdict.sound() else 1


if __name__ == "__main__":
    sys.exit(main())
