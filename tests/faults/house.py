"""house.py - a whole stack whose every dependency can be disturbed, with people who go on asking."""
import itertools
import json
import time

from disturbance import Disturbance
from disturbed import TURNS_OF_A_CONVERSATION, Chatter, assert_stored_once_in_order
from jobs import JOBS_PROGRAM, Queue
from people import Person, settings
from postgres import Cluster
from redis_server import RedisServer
from script import reply
from stack import API_KEY, MODEL, Stack, wait_until
from tools import asks, weather

ANSWER = ["All", " is", " well", "."]

# Quick enough that a fault and its end fit into seconds; otherwise as shipped.
QUICK = {
    "OPENAI_CONNECT_TIMEOUT_MS": 1500, "OPENAI_FIRST_BYTE_TIMEOUT_MS": 1500, "OPENAI_IDLE_TIMEOUT_MS": 3000,
    "OPENAI_ANSWER_TIMEOUT_MS": 4000, "TOOL_TIMEOUT_MS": 1500, "DATABASE_TIMEOUT_MS": 1500,
    "BREAKER_OPENAI": "3/1", "BREAKER_REDIS": "10/1", "BREAKER_DATABASE": "5/1", "BREAKER_WEATHER": "3/1",
    "OPENAI_SILENCE_MS": None, "REDIS_TIMEOUT_MS": None,
    # a thread of Load asks at most 100 times a second, however quick the machine is
    "RATE_LIMIT_USER": "10000/10", "RATE_LIMIT_GUEST": "10000/10",
}


class Keeper(Chatter):
    """Speaks in one conversation after the other until told to stop, and then looks what was kept."""
    numbers = itertools.count()

    def __init__(self, house):
        super().__init__(house.talker, next(self.numbers), 0)
        self.house = house
        self.daemon = self.going = True
        self.start()

    def run(self):
        conversation = None
        try:
            for turn in itertools.count():
                if not self.going:
                    return
                conversation = self.say(f"{self.number}.{turn}", conversation if turn % TURNS_OF_A_CONVERSATION else None)
                time.sleep(0.02)
        except Exception as fault:      # told by assert_kept()
            self.fault = fault

    def said(self):
        return sum(len(words) for words in list(self.accepted.values()))

    def assert_kept(self):
        """All is well again: what was accepted is there, each once, in order.  How many those are."""
        before = self.said()
        wait_until(lambda: self.said() > before or self.fault, 120, "a message that is accepted")
        self.going = False
        self.join(150)
        assert not self.is_alive() and self.fault is None, self.fault
        self.house.queue.wait_done()
        return assert_stored_once_in_order(self.house.database, [self])


class House:
    """Everything, with a relay before each dependency; the database's files are in `disk` if one is named."""

    def __init__(self, directory, model, providers, disk=None, **more):
        self.cluster = Cluster(disk)
        self.database = self.cluster.new_database()
        self.redis = RedisServer(directory / "redis")
        self.model = model
        self.relays = {
            "model": Disturbance("127.0.0.1", port_of(model.base_url)),
            "redis": Disturbance("127.0.0.1", self.redis.port),
            "database": Disturbance("127.0.0.1", self.cluster.port),
            "provider": Disturbance("127.0.0.1", port_of(providers.settings()["OPEN_METEO_URL"])),
        }
        tools = {name: through(value, self.relays["provider"]) for name, value in providers.settings().items()}
        people = settings(self.database, **{**tools, **QUICK})
        people["DATABASE_URL"] = through(self.database.url, self.relays["database"])
        people["REDIS_URL"] = through(self.redis.url, self.relays["redis"])
        self.queue = Queue(directory, self.redis, **{
            **people, "OPENAI_BASE_URL": through(model.base_url, self.relays["model"]), "OPENAI_API_KEY": API_KEY, "OPENAI_MODEL": MODEL,
            "JOBS_RETRY_MS": 100, "JOBS_LEASE_SECONDS": 2, "REDIS_TIMEOUT_MS": 5000})
        (directory / "stack").mkdir()
        self.stack = Stack(directory / "stack", model, workers=2, OPENAI_BASE_URL=through(model.base_url, self.relays["model"]),
                           **{**people, "DATABASE_TIMEOUT_MS": 1500, **more})
        self.queue.start(program=JOBS_PROGRAM)
        self.person = Person(self.stack).sign_up()
        self.talker = Person(self.stack, "talker@example.org").sign_up()
        self.counter = 0

    def asks(self):
        """Guests, a person, tools, reads: what goes on while something is wrong."""
        plain = self.model.script(reply(pieces=ANSWER))

        def with_weather():
            """Of a town that nobody asked for before: nothing in the cache."""
            self.counter += 1
            return self.stack.chat(self.model.script(asks(weather(f"Town {self.counter}")), reply(pieces=ANSWER)))
        return [
            ("guest", lambda: self.stack.chat(plain)),
            ("whole", lambda: self.stack.chat(plain, stream=False)),
            ("v1", lambda: self.stack.v1(plain)),
            ("person", lambda: self.person.send("POST", "/api/chat", chat(plain))),
            ("tool", with_weather),
            ("read", lambda: self.person.send("GET", "/api/auth/me")),
        ]

    def wait_well(self, seconds=120):
        """A guest's and a person's chat work, and what is read of the database."""
        def well():
            exchanges = [self.stack.chat(self.model.script(reply())), self.person.send("GET", "/api/auth/me")]
            return [exchange.status for exchange in exchanges] == [200, 200] and all(
                exchange.read() is not None for exchange in exchanges)
        wait_until(well, seconds, "that all is well again")

    def log(self):
        return [line for worker in self.stack.workers for line in worker.log()]

    def close(self):
        try:
            self.stack.close()
            self.queue.close()
        finally:
            for relay in self.relays.values():
                relay.stop()
            self.redis.stop()
            self.cluster.close()


def chat(script):
    return json.dumps({"messages": [{"role": "user", "content": script.text()}]})


def port_of(url):
    return int(url.split("://", 1)[1].split("/", 1)[0].rsplit(":", 1)[1])


def through(url, relay):
    """The same URL by way of the relay."""
    if not isinstance(url, str) or "://" not in url:
        return url
    host, _, _ = url.split("://", 1)[1].rsplit("@", 1)[-1].partition("/")
    return url.replace(host, f"127.0.0.1:{relay.port}", 1)
