#!/usr/bin/python3 -B
"""rolling.py - load through a front while its workers are replaced one by one; counts what is lost.

By itself, the whole measure: 10,000 requests, one in five a stream, over 20 replacements of all workers.

    tests/fronts/rolling.py [front [requests [rounds]]]
"""
import collections
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

CLIENTS = 32
STREAM_EVERY = 5
PIECES = [f"piece {i} " for i in range(10)]


def answer(seconds):
    """A streamed answer that takes so long."""
    steps = []
    for piece in PIECES:
        steps += [text(piece), sleep(seconds / len(PIECES))]
    return stream(*steps)


class Load:
    """`total` requests by clients in threads; lost[why] counts those without a whole good answer."""

    def __init__(self, stack, script, total):
        self.stack = stack
        self.script = script
        self.left = collections.deque(range(total))
        self.lost = collections.Counter()
        self.answered = 0
        self.streams = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.client) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def client(self):
        while True:
            try:
                number = self.left.popleft()
            except IndexError:
                return
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

    def running(self):
        return any(thread.is_alive() for thread in self.threads)

    def join(self):
        for thread in self.threads:
            thread.join()


def replace_all(stack):
    """Each worker in turn: its successor is started, then it is told to end, and has ended."""
    if stack.front_class.starts_workers:
        return end_each(stack)
    for worker in [worker for worker in stack.workers if worker.alive()]:
        successor = stack.start_worker()
        while not successor.stderr():
            time.sleep(0.005)
        worker.signal(15)
        worker.wait(60)


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
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: pid not in stack.started_by_front(), 60, f"worker {pid} to end")


def run(stack, script, requests, rounds):
    """Returns the load, ended, and how many rounds of replacements there were while it ran."""
    load = Load(stack, script, requests)
    done = 0
    while done < rounds:
        replace_all(stack)
        done += load.running()
        if not load.running():
            break
    load.join()
    return load, done


def main():
    from front_stack import FrontStack
    front = sys.argv[1] if len(sys.argv) > 1 else "nginx"
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    model = MockModel("/dev/null")
    stack = FrontStack(front, model, workers=2, DRAIN_SECONDS=30)
    try:
        script = model.script(answer(0.5))
        began = time.monotonic()
        load, done = run(stack, script, requests, rounds)
        print(f"{front}: {load.answered} requests, {load.streams} of them streams, in {time.monotonic() - began:.1f} s; "
              f"{done} rolling restarts of all workers meanwhile; lost: {sum(load.lost.values())} {dict(load.lost) or ''}")
    finally:
        stack.close()
        model.stop()
    return bool(load.lost)


if __name__ == "__main__":
    sys.exit(main())
