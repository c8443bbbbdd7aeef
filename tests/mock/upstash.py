"""upstash.py - Upstash's REST protocol in front of a redis-server, with faults on demand.

    rest = Upstash(redis)                   # a RedisServer of tests/http/redis_server.py
    rest.url, rest.token
    rest.fault = "hang" | "500" | "html" | "short" | None
    rest.requests                           # (path, number of commands) of each, in order
"""
import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "upstash-token-0123456789"


def encode(value, error):
    """A reply as the protocol has it when texts are asked for in base64."""
    if isinstance(value, error):
        return {"error": str(value)}
    return {"result": encode_value(value)}


def encode_value(value):
    if isinstance(value, list):
        return [encode_value(element) for element in value]
    if value == b"OK":
        return "OK"
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 600

    def do_POST(self):
        mock = self.server.mock
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if mock.fault == "hang":
            mock.released.wait(600)
            self.close_connection = True
            return
        if mock.fault == "500":
            return self.answer(500, {"error": "internal"})
        if mock.fault == "html":
            return self.answer(200, b"<html>hello</html>")
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Unauthorized"})
        assert self.headers["Upstash-Encoding"] == "base64"
        commands = json.loads(body)
        many = self.path == "/pipeline"
        mock.requests.append((self.path, len(commands) if many else 1))
        answers = [self.run(command) for command in (commands if many else [commands])]
        if mock.fault == "short":
            answers = answers[:-1] or [{}]
        if many:
            self.answer(200, answers)
        else:
            self.answer(400 if "error" in answers[0] else 200, answers[0])

    def run(self, command):
        redis = self.server.mock.redis
        with redis.connect() as connection:
            try:
                return encode(connection.command(*command), self.server.mock.error)
            except self.server.mock.error as error:
                return {"error": str(error)}

    def answer(self, code, content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Upstash:
    token = TOKEN

    def __init__(self, redis, error):
        """`error` is the class that redis.command() raises for an error reply."""
        self.redis = redis
        self.error = error
        self.fault = None
        self.requests = []
        self.released = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.mock = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
