"""stack.py - the real thing in a private directory: NGINX, workers that share a socket, a mock model."""
import itertools
import json
import os
import socket
import time
from pathlib import Path

import fcgi
from client import Exchange
from nginx import FRONT, Nginx
from script import Script
from worker import Worker, environment

API_KEY = "sk-test-0123456789abcdefghijklmnopqrstuvwxyz"
MODEL = "mock-model"
START_SECONDS = 120
# Longer than any test waits: what a model's client that left, or a server that hangs, is to bring about, no time-out does instead.
NO_TIME_OUTS = {"OPENAI_CONNECT_TIMEOUT_MS": 60000, "OPENAI_FIRST_BYTE_TIMEOUT_MS": 600000, "OPENAI_IDLE_TIMEOUT_MS": 600000,
                "OPENAI_ANSWER_TIMEOUT_MS": 600000, "OPENAI_SILENCE_MS": 0, "REDIS_TIMEOUT_MS": 60000}
# As they are shipped.
SHIPPED_TIME_OUTS = dict.fromkeys(NO_TIME_OUTS)
BACKLOG = 4096


def wait_until(condition, seconds=60, what="it"):
    """Poll until the condition is true and return what it gave; fail when it stays false."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what} did not come about in {seconds} s"
        time.sleep(0.005)
    return result


def at_best(measure, below, seconds=60):
    """Measure seconds again and again until once they are below the bound: what a busy machine adds is not ours.  All of them."""
    times, deadline = [], time.monotonic() + seconds
    while not times or (min(times) >= below and time.monotonic() < deadline):
        times.append(measure())
    assert min(times) < below, f"never below {below} s: {times}"
    return times


def took(act):
    """Seconds."""
    began = time.monotonic()
    act()
    return time.monotonic() - began


class Stack:
    numbers = itertools.count(1)

    def __init__(self, directory, model, workers=1, **settings):
        """`settings` are a worker's environment; None takes one of the defaults out."""
        self.directory = Path(directory)
        self.model = model
        self.shm_name = f"/bakame-test-{os.getpid()}-{next(self.numbers)}"
        self.settings = {
            "BAKAME_ENV": "production", "LOG_LEVEL": "info", "LOG_FORMAT": "json", "LOG_TARGET": "stderr",
            "OPENAI_API_KEY": API_KEY, "OPENAI_BASE_URL": model.base_url if model else None,
            "OPENAI_MODEL": MODEL, "SHM_NAME": self.shm_name, "DRAIN_SECONDS": 5, **NO_TIME_OUTS,
            "BREAKER_OPENAI": "off", "RATE_LIMIT_USER": "off", "RATE_LIMIT_GUEST": "off", **settings}
        self.exchanges = []
        self.workers = []
        self.front = None
        self.socket_path = self.directory / "app.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.socket_path))
        self.listener.listen(BACKLOG)
        try:
            for _ in range(workers):
                self.start_worker()
            self.front = self.start_front()
            self.wait_ready()
        except BaseException:
            self.close()
            raise

    def start_front(self):
        return Nginx(self.directory / "front", FRONT, socket=self.socket_path,
                     uploads=self.settings.get("UPLOAD_DIR", "/nonexistent"))

    def start_worker(self):
        log_path = self.directory / f"worker-{len(self.workers)}.log"
        worker = Worker(self.listener, log_path, environment(**self.settings))
        self.workers.append(worker)
        return worker

    def wait_started(self):
        """Each worker has said that it started, and those that were not ended live."""
        wait_until(lambda: all('"worker started"' in worker.stderr() or not worker.alive() for worker in self.workers),
                   START_SECONDS, "every worker's saying that it started")
        for worker in self.workers:
            assert worker.alive() or worker.ended_by_test, f"a worker did not start:\n{worker.stderr()}"

    def wait_ready(self):
        self.wait_started()
        with self.fastcgi() as connection:
            assert connection.ask("GET", "/api/health/live").status == 200

    @property
    def worker(self):
        """The worker, of a stack that has one."""
        (worker,) = self.workers
        return worker

    @property
    def url(self):
        return f"http://127.0.0.1:{self.front.port}"

    def fastcgi(self):
        """A FastCGI connection to whichever worker takes it."""
        return fcgi.Connection(self.socket_path)

    def request(self, method, path, body=None, headers=None, **options):
        exchange = Exchange("127.0.0.1", self.front.port, method, path, body, headers, **options)
        self.exchanges.append(exchange)
        return exchange

    def get(self, path, **headers):
        return self.request("GET", path, headers=headers)

    def post(self, path, body, content_type="application/json", headers=None, **options):
        """Post a dict as JSON, or bytes or text as they are."""
        data = json.dumps(body) if isinstance(body, dict) else body
        return self.request("POST", path, data, {"Content-Type": content_type, **(headers or {})}, **options)

    def chat(self, content="Hello", path="/api/chat", tag=None, headers=None, receive_buffer=None, **members):
        """Ask one question: text, or a script of the mock."""
        return self.post(path, chat_body(content, tag, **members), headers=headers,
                         receive_buffer=receive_buffer)

    def v1(self, content="Hello", **options):
        """The same on the OpenAI-compatible path, where a model must be named."""
        return self.chat(content, path="/v1/chat/completions", **{"model": MODEL, **options})

    def log_lines(self, request_id):
        """The workers' log lines that carry this request id, once the last of them is there: it sums the request up."""
        def find():
            lines = [line for worker in self.workers for line in worker.log() if request_id in line.values()]
            return lines if any(line["message"] == "request" for line in lines) else None
        return wait_until(find, what=f"the log lines of request {request_id}")

    def serves(self):
        """Does a whole chat work?"""
        exchange = self.chat()
        works = exchange.status == 200 and exchange.events()[-1] == "[DONE]"
        exchange.close()
        return works

    def assert_serves(self):
        assert self.serves()

    def close(self):
        """End everything; fail if a worker did not live or end as it should."""
        for exchange in self.exchanges:
            exchange.close()
        faults = []
        for worker in self.workers:
            try:
                worker.finish()
            except Exception as fault:
                faults.append(fault)
        if self.front:
            self.front.stop()
        self.listener.close()
        Path("/dev/shm" + self.shm_name).unlink(missing_ok=True)
        assert not faults, "\n".join(map(str, faults))


def chat_body(content="Hello", tag=None, **members):
    text = content.text(tag=tag) if isinstance(content, Script) else content
    return {"messages": [{"role": "user", "content": text}], **members}
