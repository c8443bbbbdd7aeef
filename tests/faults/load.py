"""load.py - people who go on asking while something is wrong, and what became of each question."""
import json
import threading
import time
from dataclasses import dataclass, field

from client import DONE

# What a person may be told instead of an answer.
CLEAR = {429, 500, 502, 503, 504}
ANSWERED_WITHIN = 10
TICK_SECONDS = 0.1


@dataclass
class Outcome:
    kind: str
    seconds: float
    status: int | None = None
    complete: bool = False          # the whole answer
    told: bool = False              # an error in words that say what it was
    fault: str = ""                 # neither
    began: float = field(default=0.0)
    held_up: float = 0.0            # by the machine, meanwhile

    @property
    def waited(self):
        """For us, and not for a machine that had no time for anybody."""
        return self.seconds - 2 * self.held_up

    @property
    def clear(self):
        return self.complete or self.told


def judge_chat(exchange):
    """(status, complete, told, fault)"""
    status = exchange.status
    if status != 200:
        return status, False, *tells(exchange.read(), status)
    if not exchange.header("Content-Type").startswith("text/event-stream"):
        whole = bool(exchange.json()["choices"])
        return status, whole, False, "" if whole else "an answer without choices"
    events = exchange.events()
    if events and events[-1] == DONE:
        return status, True, False, ""
    last = events[-1] if events else None
    if isinstance(last, dict) and last.get("error", {}).get("message"):
        return status, False, True, ""
    return status, False, False, f"a stream that just stopped: {last}"


def tells(body, status):
    """Are these the words of one of our errors, or of the front when no worker is left?"""
    if status not in CLEAR:
        return False, f"status {status}: {body[:200]!r}"
    try:
        error = json.loads(body)["error"]
        return bool(error["type"] and error["message"]), ""
    except (ValueError, KeyError, TypeError):
        return status in (502, 503, 504) and b"nginx" in body, "" if b"nginx" in body else f"{body[:200]!r}"


def judge_read(exchange):
    status = exchange.status
    body = exchange.read()
    if status == 200:
        return status, True, False, ""
    return status, False, *tells(body, status)


class Machine:
    """Watches how late somebody is who wants nothing but to run now and then."""

    def __init__(self):
        self.late = []              # when it was seen, and by how much
        self.going = True
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while self.going:
            before = time.monotonic()
            time.sleep(TICK_SECONDS)
            over = time.monotonic() - before - TICK_SECONDS
            if over > TICK_SECONDS:
                self.late.append((before, over))

    def held_up(self, began):
        """Seconds since then."""
        return sum(over for at, over in list(self.late) if at + TICK_SECONDS + over > began)


class Load:
    """`asks` are pairs (kind, function that gives an exchange); each is asked by a thread of its own, over and over."""

    def __init__(self, asks):
        self.outcomes = []
        self.machine = Machine()
        self.going = True
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._ask_on, args=ask, daemon=True) for ask in asks]
        for thread in self.threads:
            thread.start()

    def _ask_on(self, kind, ask):
        judge = judge_read if kind == "read" else judge_chat
        while self.going:
            began = time.monotonic()
            outcome = Outcome(kind, 0, began=began)
            try:
                exchange = ask()
                outcome.status, outcome.complete, outcome.told, outcome.fault = judge(exchange)
                exchange.close()
            except Exception as fault:      # a connection that broke, a time-out: not clear to anybody
                outcome.fault = repr(fault)
            outcome.seconds = time.monotonic() - began
            outcome.held_up = self.machine.held_up(began)
            with self.lock:
                self.outcomes.append(outcome)
            time.sleep(0.01 if outcome.complete else 0.03)      # more often than any person, less than a flood

    def since(self, moment):
        with self.lock:
            return [outcome for outcome in self.outcomes if outcome.began >= moment]

    def stop(self):
        self.going = False
        for thread in self.threads:
            thread.join(150)
            assert not thread.is_alive(), "somebody was never answered"
        self.machine.going = False
        return self.outcomes


def assert_clear(outcomes, slowness=1, but=()):
    """Each was answered or refused in words, in time."""
    assert outcomes
    dark = [outcome for outcome in outcomes if not outcome.clear and outcome.kind not in but]
    assert not dark, dark[:5]
    slow = [outcome for outcome in outcomes if outcome.waited > ANSWERED_WITHIN * slowness]
    assert not slow, slow[:5]
