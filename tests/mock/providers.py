#!/usr/bin/python3
"""providers.py - all providers of the tools on one port, behaving or not.

A base URL of a setting is http://HOST:PORT/MODE/SITE: MODE says how it behaves (see Handler.MODES), SITE whose
requests are counted together.  MODE may be followed by ~SECONDS, a pause before the answer.

    GET /_log/SITE      the requests of a site, as a JSON list of {method, path, query, headers, body, received}
    POST /_mode/SITE    from now on the site behaves by the MODE in the body, whatever its URL says

Run: providers.py [PORT]; 0 takes a free one.  The first line of stdout is the address.
"""
import gzip
import json
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from provider_answers import Answer, Question, error_body, good

HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
BOMB = gzip.compress(b'{"a":"' + b"0" * (16 << 20) + b'"}', 1)
SECRET = b'{"secret":"of an internal server"}'


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.log = {}
        self.modes = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state = State()

    def log_message(self, *_):
        pass

    def send(self, status, body, content_type="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, status, value, **headers):
        self.send(status, json.dumps(value, ensure_ascii=False).encode(), "application/json; charset=utf-8", **headers)

    def control(self, body):
        verb, _, site = self.path[2:].partition("/")
        with self.state.lock:
            if verb == "log":
                value = list(self.state.log.get(site, []))
            else:
                self.state.modes[site] = body.decode()
                value = None
        self.send_json(200, value)

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/_"):
            self.control(body)
            return
        if self.path == "/secret":
            self.state.log.setdefault("secret", []).append({})
            self.send(200, SECRET)
            return
        url = urlsplit(self.path)
        _, mode, site, rest = url.path.split("/", 3)
        question = Question(self.command, "/" + rest, dict(parse_qsl(url.query)), self.headers, body)
        with self.state.lock:
            mode = self.state.modes.get(site, mode)
            self.state.log.setdefault(site, []).append(
                {"method": self.command, "path": question.path, "query": question.query, "headers": dict(self.headers),
                 "body": body.decode("utf-8", "replace"), "received": time.monotonic()})
        mode, _, pause = mode.partition("~")
        time.sleep(float(pause or 0))
        getattr(self, "mode_" + mode.replace("-", "_"))(question)

    do_GET = do_POST = answer

    # ---- modes ----

    def good_body(self, question):
        """(status, type, bytes) of the usual answer."""
        try:
            value = good(question)
        except Answer as other:
            return other.status, "application/json", json.dumps(other.value).encode()
        if isinstance(value, (str, bytes)):
            return 200, "application/xml", value if isinstance(value, bytes) else value.encode()
        return 200, "application/json", json.dumps(value, ensure_ascii=False).encode()

    def mode_ok(self, question):
        status, kind, body = self.good_body(question)
        self.send(status, body, kind)

    def mode_gzip(self, question):
        status, kind, body = self.good_body(question)
        assert "gzip" in self.headers.get("Accept-Encoding", "")
        self.send(status, gzip.compress(body), kind, Content_Encoding="gzip")

    def mode_chunked(self, question):
        status, kind, body = self.good_body(question)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i in range(0, len(body), 7):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(body[i:i + 7]), body[i:i + 7]))
        self.wfile.write(b"0\r\n\r\n")

    def mode_error200(self, question):
        self.send_json(200, error_body(question, 200))

    def mode_status(self, question, status):
        self.send_json(status, error_body(question, status), Retry_After="60")

    def mode_400(self, question):
        self.mode_status(question, 400)

    def mode_401(self, question):
        self.mode_status(question, 401)

    def mode_429(self, question):
        self.mode_status(question, 429)

    def mode_500(self, question):
        self.mode_status(question, 500)

    def mode_html(self, _question):
        self.send(200, HTML, "text/html")

    def mode_html503(self, _question):
        self.send(503, HTML, "text/html")

    def mode_redirect(self, _question):
        self.send(302, b"", Location=f"http://{self.headers['Host']}/secret")

    def mode_cut(self, question):
        status, kind, body = self.good_body(question)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:len(body) // 2])
        self.close_connection = True

    def mode_reset(self, _question):
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def mode_truncated(self, question):
        status, kind, body = self.good_body(question)
        self.send(status, body[:len(body) // 2], kind)

    def mode_empty(self, _question):
        self.send(200, b"")

    def mode_wrong(self, _question):
        """JSON, of no known shape."""
        self.send_json(200, {"results": 7, "list": None, "rates": [], "rate": "much", "articles": {"a": 1}, "query": [], "current": [],
                             "conversion_rate": -1, "elements": {}, "places": "x", "status": "ok", "main": 1})

    def mode_array(self, _question):
        self.send_json(200, [[], 3, None, {"lat": "north", "lon": {}}])

    def mode_latin1(self, _question):
        self.send(200, '{"name":"caf\u00e9"}'.encode("latin-1"), "application/json; charset=iso-8859-1")

    def mode_badutf8(self, _question):
        self.send(200, b'{"name":"caf\xe9","results":[]}', "application/json; charset=utf-8")

    def mode_huge(self, _question):
        self.send(200, b'{"results":[' + b'"' + b"x" * (2 << 20) + b'"]}')

    def mode_bomb(self, _question):
        self.send(200, BOMB, Content_Encoding="gzip")

    def mode_deep(self, _question):
        self.send(200, b"[" * 5000 + b"]" * 5000)

    def mode_held(self, question):
        """As `ok`, once the site is told to behave otherwise."""
        site = urlsplit(self.path).path.split("/", 3)[2]
        while self.state.modes.get(site, "held") == "held":
            time.sleep(0.01)
        self.mode_ok(question)

    def mode_hang(self, _question):
        time.sleep(600)         # longer than anybody waits


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, _request, _address):
        kind = sys.exc_info()[0]
        if not issubclass(kind, (ConnectionError, BrokenPipeError)):
            super().handle_error(_request, _address)


if __name__ == "__main__":
    server = Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Handler)
    print("127.0.0.1:%d" % server.server_address[1], flush=True)
    server.serve_forever()
