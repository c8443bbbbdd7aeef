"""sentry.py - a server that takes Sentry's envelopes, as develop.sentry.dev/sdk/foundations/transport describes it.

Runs in a thread of the test.  What it answers can be scripted, one entry a request: a status, or (status, headers);
past the script it takes everything.
"""
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "0123456789abcdef0123456789abcdef"


def read_envelope(body):
    """[(item header, payload)] of an envelope whose items have lengths."""
    header, _, rest = body.partition(b"\n")
    json.loads(header)
    items = []
    while rest:
        line, _, rest = rest.partition(b"\n")
        item = json.loads(line)
        payload, rest = rest[:item["length"]], rest[item["length"]:]
        assert rest[:1] in (b"", b"\n"), "the length of an item is wrong"
        rest = rest[1:]
        items.append((item, json.loads(payload)))
    return items


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server.owner
        answer = server.take(self.path, dict(self.headers), body)
        if answer is None:
            self.close_connection = True
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        text = b'{"id":"0"}' if status == 200 else b'{"detail":"no"}'
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class SentryServer:
    def __init__(self, script=()):
        self.script = list(script)
        self.requests = []
        self.faults = []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.owner = self
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def dsn(self):
        return f"http://{KEY}@127.0.0.1:{self.server.server_port}/42"

    def take(self, path, headers, body):
        """Note a request; what to answer, or None to break off."""
        with self.lock:
            self.requests.append((path, headers, body))
            return self.script.pop(0) if self.script else 200

    def events(self):
        """The events of all requests so far."""
        with self.lock:
            bodies = [body for _, _, body in self.requests]
        return [payload for body in bodies for item, payload in read_envelope(body) if item["type"] == "event"]

    def wait_events(self, count, seconds=60):
        deadline = time.monotonic() + seconds
        while len(events := self.events()) < count:
            assert time.monotonic() < deadline, f"{len(events)} of {count} events came in {seconds} s"
            time.sleep(0.01)
        return events

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
