#!/usr/bin/python3 -B
"""rolling.py - load through a front while its workers are replaced one by one; counts what is lost.

By itself, the whole measure: 10,000 requests, one in five a stream, over 20 replacements of all workers.

    tests/fronts/rolling.py [front [requests [rounds]]]
"""
import collections
import contextlib
import itertools
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

if __name__ == "__main__":
    TESTS = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(TESTS / "mock"), str(TESTS / "http")]

from client import DONE, Exchange
from script import MockModel, sleep, stream, text
from stack import wait_until

SECONDS = 300           # past them a worker hangs
CLIENTS = 32
STREAM_EVERY = 5
DRAIN_SECONDS = 240     # longer than a busy machine makes a stream
PIECES = [f"piece {i} " for i in range(10)]


def answer(seconds):
    """A streamed answer that takes so long."""
    steps = []
    for piece in PIECES:
        steps += [text(piece), sleep(seconds / len(PIECES))]
    return stream(*steps)


class Load:
    """`least` requests by clients in threads, and where it goes on more until join(); lost[why] counts those without a whole
    good answer."""

    def __init__(self, stack, script, least, goes_on=False):
        self.stack = stack
        self.script = script
        self.least = least
        self.numbers = itertools.count()
        self.enough = threading.Event()
        if not goes_on:
            self.enough.set()
        self.lost = collections.Counter()
        self.answered = 0
        self.streams = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.client) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def client(self):
        while (number := next(self.numbers)) < self.least or not self.enough.is_set():
            streams = number % STREAM_EVERY == 0
            try:
                why = self.chat() if streams else self.short(number)
            except Exception as fault:
                why = f"{type(fault).__name__}: {fault}"
            with self.lock:
                self.answered += 1
                self.streams += streams
                if why:
                    self.lost[why] += 1

    def ask(self, method, path, body=None, headers=None):
        return Exchange("127.0.0.1", self.stack.front.port, method, path, body, headers)

    def short(self, number):
        if number % 2:
            exchange = self.ask("GET", "/v1/models")
        else:       # a POST, which a front never sends twice
            exchange = self.ask("POST", "/api/chat", "{", {"Content-Type": "application/json"})
        try:
            status = exchange.status
            exchange.read()
        finally:
            exchange.close()
        return None if status == (200 if number % 2 else 400) else f"status {status}"

    def chat(self):
        body = '{"messages":[{"role":"user","content":"%s"}]}' % self.script.text()
        exchange = self.ask("POST", "/api/chat", body, {"Content-Type": "application/json"})
        try:
            if exchange.status != 200:
                return f"stream: status {exchange.status}"
            events = exchange.events()
        finally:
            exchange.close()
        said = "".join(event["choices"][0]["delta"].get("content") or "" for event in events
                       if isinstance(event, dict) and event.get("choices"))
        return None if events[-1:] == [DONE] and said == "".join(PIECES) else "stream: not whole"

    def join(self):
        self.enough.set()
        for thread in self.threads:
            thread.join()


def replace_all(stack):
    """Each worker in turn: its successor is started, then it is told to end, and has ended."""
    if stack.front_class.starts_workers:
        return end_each(stack)
    for worker in [worker for worker in stack.workers if worker.alive()]:
        successor = stack.start_worker()
        wait_until(lambda: heeds_term(successor.pid), SECONDS, "a worker to start")
        worker.signal(15)
        worker.wait(SECONDS)


def heeds_term(pid):
    """Has it come so far that SIGTERM lets it end what it does?"""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = int(re.search(r"^SigCgt:\s*(\w+)", status, re.M).group(1), 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def end_each(stack):
    """Each worker that the front has started is told to end, and has; the front starts others as it needs them."""
    for pid in filter(heeds_term, stack.started_by_front()):
        with contextlib.suppress(ProcessLookupError):       # it has ended by itself
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: pid not in stack.started_by_front(), SECONDS, f"worker {pid} to end")


def run(stack, script, requests, rounds):
    """All workers are replaced so many times while there is load, of so many requests at least.  Returns the load, ended."""
    load = Load(stack, script, requests, goes_on=True)
    try:
        for _ in range(rounds):
            replace_all(stack)
    finally:
        load.join()
    return load


def main():
    from front_stack import FrontStack
    front = sys.argv[1] if len(sys.argv) > 1 else "nginx"
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    model = MockModel("/dev/null")
    stack = FrontStack(front, model, workers=2, DRAIN_SECONDS=DRAIN_SECONDS)
    try:
        script = model.script(answer(0.5))
        began = time.monotonic()
        load = run(stack, script, requests, rounds)
        print(f"{front}: {load.answered} requests, {load.streams} of them streams, in {time.monotonic() - began:.1f} s; "
              f"{rounds} rolling restarts of all workers meanwhile; lost: {sum(load.lost.values())} {dict(load.lost) or ''}")
    finally:
        stack.close()
        model.stop()
    return bool(load.lost)


if __name__ == "__main__":
    sys.exit(main())
