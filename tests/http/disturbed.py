"""disturbed.py - chats while PostgreSQL comes and goes and workers are killed; what must have become of them.

    /usr/bin/python3 tests/http/disturbed.py [CHATS]        from a built tree; 10,000 without a number
"""
import itertools
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "mock")]

from client import text_of  # noqa: E402
from jobs import JOBS_PROGRAM, Queue  # noqa: E402
from people import Person, settings  # noqa: E402
from stack import MODEL, chat_body  # noqa: E402

CHATTERS = 8
TURNS_OF_A_CONVERSATION = 5
ACCEPTED_AT_LEAST = 100


class Chatter(threading.Thread):
    """Speaks in one conversation after the other and notes what was accepted."""

    def __init__(self, person, number, count, enough=lambda: True):
        """At least `count` turns, and until it is enough."""
        super().__init__()
        self.person, self.number, self.count, self.enough = person, number, count, enough
        self.accepted = {}          # conversation: what was said in it, in order
        self.refused = 0
        self.unsaved = 0
        self.fault = None

    def run(self):
        try:
            conversation = None
            for turn in itertools.count():
                if turn >= self.count and self.enough():
                    return
                if turn % TURNS_OF_A_CONVERSATION == 0:
                    conversation = None
                conversation = self.say(f"{self.number}.{turn}", conversation)
        except Exception as fault:      # told by the one who waits
            self.fault = fault

    def say(self, words, conversation):
        members = {"conversation_id": conversation} if conversation else {}
        try:
            exchange = self.person.bearer("POST", "/api/chat", chat_body(words, **members))
            if exchange.status != 200:
                self.refused += 1
                exchange.close()
                return conversation
            told = exchange.next_event()["bakame"]
        except (OSError, EOFError, TypeError, ValueError):
            self.refused += 1           # the worker died before it said that it took it
            return conversation
        if told["saved"]:
            self.accepted.setdefault(told["conversation_id"], []).append(words)
        else:
            self.unsaved += 1
        try:
            text_of(exchange.events())
        except (OSError, ValueError, AssertionError):
            pass                        # killed in the middle of the answer
        exchange.close()
        return told["conversation_id"]


class Disturber:
    """Cuts the database off and lets it in again, and kills workers.

    In the thread of the test: a worker ends with the thread that started it."""

    def __init__(self, stack, database, seed, cluster=None):
        self.stack, self.database, self.cluster = stack, database, cluster
        self.random = random.Random(seed)
        self.cuts = self.kills = 0

    def disturb(self, chatters):
        while any(chatter.is_alive() for chatter in chatters):
            time.sleep(self.random.uniform(0.02, 0.25))
            if self.kills <= self.cuts:
                self.kill()
            else:
                self.cut()

    def kill(self):
        alive = [worker for worker in self.stack.workers if worker.alive()]
        self.random.choice(alive).kill()
        self.stack.start_worker()
        self.kills += 1

    def cut(self):
        if self.cluster:
            self.cluster.restart()
        else:
            self.database.cut_off()
            time.sleep(self.random.uniform(0.05, 0.4))
            self.database.let_in()
        self.cuts += 1


def disturbed_chats(make_stack, database, redis, directory, count, seed=1, cluster=None):
    """Run them; (chatters, disturber).  Each accepted message has been stored when this returns, or it fails."""
    stack = make_stack(workers=3, **settings(database, REDIS_URL=redis.url, DATABASE_TIMEOUT_MS=3000))
    queue = Queue(directory, redis, DATABASE_URL=database.url, JOBS_RETRY_MS=100, JOBS_LEASE_SECONDS=2,
                  OPENAI_BASE_URL=stack.model.base_url, OPENAI_API_KEY="sk-test", OPENAI_MODEL=MODEL)
    people = [Person(stack, f"chatter{n}@example.org").sign_up() for n in range(CHATTERS)]
    for person in people:               # known to each worker, as after a minute of use
        person.bearer("GET", "/api/auth/me").read()
    disturber = Disturber(stack, database, seed, cluster)

    def enough():
        """A quick machine is through before anything was disturbed, on a slow one little is accepted."""
        said = sum(len(words) for chatter in chatters for words in list(chatter.accepted.values()))
        return disturber.cuts > 0 and disturber.kills > 0 and said >= ACCEPTED_AT_LEAST
    chatters = [Chatter(person, n, count // CHATTERS, enough) for n, person in enumerate(people)]
    queue.start(program=JOBS_PROGRAM)
    for chatter in chatters:
        chatter.start()
    disturber.disturb(chatters)
    for chatter in chatters:
        chatter.join()
    queue.wait_done()
    queue.close()
    faults = [chatter.fault for chatter in chatters if chatter.fault]
    assert not faults, faults
    return chatters, disturber


def assert_stored_once_in_order(database, chatters):
    """What was accepted is there, each once, in order; nothing that was not said."""
    stored = {}
    for conversation, words in database.rows(
            "select conversation_id, text from messages where role = 'user' order by conversation_id, created_at, seq"):
        stored.setdefault(conversation, []).append(words)
    total = 0
    for chatter in chatters:
        for conversation, said in chatter.accepted.items():
            there = stored.get(conversation, [])
            assert len(there) == len(set(there)), f"{conversation}: stored twice: {there}"
            # what was stored of a chat whose worker died before it could say so may stand between
            assert [words for words in there if words in set(said)] == said, f"{conversation}: said {said}, stored {there}"
            total += len(said)
    return total


def main():
    from postgres import Cluster
    from redis_server import RedisServer
    from script import MockModel
    from stack import Stack
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    directory = Path(tempfile.mkdtemp(prefix="bakame-disturbed-"))
    cluster, redis, model = Cluster(), RedisServer(directory / "redis"), MockModel(directory / "model.err")
    database = cluster.new_database()
    stacks = []

    def make(**options):
        (directory / "stack").mkdir()
        stacks.append(Stack(directory / "stack", model, **options))
        return stacks[0]
    try:
        began = time.monotonic()
        chatters, disturber = disturbed_chats(make, database, redis, directory, count, cluster=cluster)
        total = assert_stored_once_in_order(database, chatters)
        print(f"{count} chats in {time.monotonic() - began:.0f} s: {total} accepted and stored once in order, "
              f"{sum(c.refused for c in chatters)} refused or broken off, {sum(c.unsaved for c in chatters)} told as not saved; "
              f"PostgreSQL was stopped {disturber.cuts} times, {disturber.kills} workers were killed")
    finally:
        for stack in stacks:
            stack.close()
        redis.stop()
        model.stop()
        cluster.close()


if __name__ == "__main__":
    main()
