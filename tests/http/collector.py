"""collector.py - who takes the spans of traces, over HTTP/1.1."""
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Collector:
    def __init__(self):
        self.batches = batches = []     # (path, what it got)
        self.go = go = threading.Event()        # it answers when this is set
        go.set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                batches.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                go.wait(300)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None     # who asked has gone
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self.go.set()
        self._server.shutdown()
        self._server.server_close()
