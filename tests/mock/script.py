"""script.py - the test's side of the mock model: starts it, scripts it, reads its log.

    model = MockModel(log_path)
    script = model.script(status(429, headers={"Retry-After": "1"}), reply(pieces=["ok"]))
    ... send script.text("hello") as the user's message ...
    assert len(script.log()) == 2
"""
import base64
import http.client
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlencode

import process
import replies

SSE_HEAD = ["head", 200, [["Content-Type", "text/event-stream"], ["Transfer-Encoding", "chunked"]]]


# Steps and behaviours (lists of steps, as model.py plays them)

def head(code=200, content_type="text/event-stream", **headers):
    """The start of an answer in chunked framing; header names with _ for -."""
    pairs = [["Content-Type", content_type], ["Transfer-Encoding", "chunked"]]
    return ["head", code, pairs + [[name.replace("_", "-"), value] for name, value in headers.items()]]


def send(data):
    if isinstance(data, bytes):
        return ["send64", base64.b64encode(data).decode()]
    return ["send", data]


def text(content):
    """One event that carries a piece of the answer."""
    return ["event", replies.text_chunk(content)]


def event(data):
    return ["event", data]


def sleep(seconds):
    return ["sleep", seconds]


def gate(name):
    return ["gate", name]


def repeat(count, *steps):
    return ["repeat", count, list(steps)]


HANG = ["hang"]
FIN = ["fin"]
RST = ["rst"]
FINISH = ["event", replies.chunk(finish_reason="stop")]
DONE = ["event", "[DONE]"]


def reply(**options):
    """A whole good answer, streamed or not as the request asks: see replies.stream_chunks()."""
    return [["reply", options]]


def stream(*steps, finish=True):
    """A streamed answer of these steps; ends as it should unless told not to."""
    return [SSE_HEAD, *steps] + ([FINISH, DONE] if finish else [])


def status(code, body=None, headers=None, content_type="application/json"):
    """A complete answer with this status; a dict is sent as JSON, by default an OpenAI error."""
    if body is None:
        body = replies.error(f"scripted status {code}")
    content = body if isinstance(body, str) else json.dumps(body)
    pairs = [["Content-Type", content_type], ["Content-Length", str(len(content.encode()))]]
    return [["head", code, pairs + [list(pair) for pair in (headers or {}).items()]],
            ["send", content]]


class Script:
    """One script on the mock, and the part of its log that is ours."""

    def __init__(self, model, name):
        self.model = model
        self.name = name

    def marker(self, tag=None):
        return f"[[{self.name}#{tag}]]" if tag is not None else f"[[{self.name}]]"

    def text(self, words="Hello", tag=None):
        """Text for a user message, which makes the mock play this script."""
        return f"{words} {self.marker(tag)}"

    def log(self):
        return self.model.control("GET", f"/_log/{quote(self.name)}")

    def open(self, name):
        """Open a gate that a behaviour of this script waits at."""
        self.model.control("POST", f"/_gate/{quote(self.name)}/{quote(name)}")

    def wait(self, state, count=1, tag=None, timeout=60):
        """The records that are received, finished or gone, once there are `count`."""
        query = {"state": state, "count": count, "timeout": timeout}
        if tag is not None:
            query["tag"] = tag
        return self.model.control("GET", f"/_wait/{quote(self.name)}?{urlencode(query)}")


class MockModel:
    """A mock model in a process of its own."""
    names = itertools.count(1)

    def __init__(self, log_path):
        self.errors_path = Path(log_path)
        with open(log_path, "wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-u", str(Path(__file__).with_name("model.py")), "127.0.0.1:0"],
                stdout=subprocess.PIPE, stderr=errors, preexec_fn=process.end_with_parent)
        address = self.process.stdout.readline().decode().strip()
        self.host, _, port = address.rpartition(":")
        self.port = int(port)

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    @property
    def base_url(self):
        return self.url + "/v1"

    def script(self, *behaviours, name=None):
        name = name or f"s{os.getpid()}-{next(self.names)}"
        self.control("PUT", f"/_script/{quote(name)}", list(behaviours))
        return Script(self, name)

    def lag(self):
        """The longest the mock was late since last asked, in seconds."""
        return self.control("GET", "/_lag")

    def control(self, method, path, value=None):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=180)
        try:
            connection.request(method, path, None if value is None else json.dumps(value))
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise AssertionError(f"mock: {method} {path} answered {answer.status}")
        return json.loads(body)

    def stop(self):
        """End the mock; returns what it had to complain about."""
        process.stop(self.process)
        self.process.stdout.close()
        return self.errors_path.read_text()
