"""machine_stack.py - a Stack whose workers are services of a booted systemd."""
import os

from machine import Machine
from nginx import FRONT, Nginx
from stack import API_KEY, MODEL, Stack, wait_until


# A stream that a test holds outlasts any pause that a busy machine makes.
DRAIN_SECONDS = 300
LONG_STOP = "TimeoutStopSec=400"


class MachineStack(Stack):
    def __init__(self, model, directory, drop_in="", **settings):
        self.directory = directory
        self.model = model
        self.exchanges = []
        self.front = None
        self.values = {"OPENAI_API_KEY": API_KEY, "OPENAI_BASE_URL": model.base_url, "OPENAI_MODEL": MODEL, "OPENAI_SILENCE_MS": 0,
                       "DRAIN_SECONDS": DRAIN_SECONDS, "RATE_LIMIT_USER": "off", "RATE_LIMIT_GUEST": "off", **settings}
        self.machine = Machine(self.env_text(), f"{LONG_STOP}\n{drop_in}")
        try:
            self.front = Nginx(directory / "front", FRONT, socket=self.machine.socket_path, uploads="/nonexistent")
            wait_until(self.answers, 120, "an answer of a worker")
        except BaseException:
            self.close()
            raise

    def env_text(self):
        return "".join(f"{name}={value}\n" for name, value in self.values.items())

    def ask(self, path):
        exchange = self.get(path)
        try:
            return exchange.status
        finally:
            exchange.close()

    def answers(self):
        return self.ask("/api/health/live") == 200

    def close(self):
        for exchange in self.exchanges:
            exchange.close()
        if self.front:
            self.front.stop()
        self.machine.stop()
