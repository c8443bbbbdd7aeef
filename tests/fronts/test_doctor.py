"""bakamectl doctor: nothing to say of what is shipped; each fault that is put in is found, with the line that mends it."""
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from front_stack import FRONTS, FrontStack
from worker import CONTROL_PROGRAM

pytestmark = pytest.mark.limit(900)


def examine(*arguments):
    done = subprocess.run([CONTROL_PROGRAM, "doctor", *map(str, arguments)], capture_output=True, text=True, timeout=600)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("front", [*FRONTS, "nginx-tls", "apache-tls"])
def test_what_is_shipped_has_nothing_to_mend(start_site, front):
    site = start_site(front)
    arguments = ["--ca", site.front.certificate, f"https://127.0.0.1:{site.front.tls_port}"] if site.front_class.tls else [site.url]
    status, report = examine(*arguments)
    assert status == 0, report
    for what in ("stream", "compression", "abort", "headers", "request id", "authorization", "cors", "metrics", "body limits", "clock"):
        assert f"\nok    {what} " in report, report


# NGINX holds events back when it does not keep connections to workers: else it passes on each record.
BUFFERING = ("fastcgi_keep_conn    on;\nfastcgi_buffering    off;", "fastcgi_ignore_headers X-Accel-Buffering;")

# front: (part of the configuration, what it becomes, what is found, the line that mends it)
FAULTS = {
    "nginx: a stream is buffered": ("nginx", *BUFFERING, "stream", "fastcgi_buffering off;"),
    "nginx: no id": ("nginx", "fastcgi_param REQUEST_ID $request_id;", "", "request id", "fastcgi_param REQUEST_ID $request_id;"),
    "nginx: a header is lost": ("nginx", 'add_header X-Frame-Options           "DENY" always;', "", "headers", "include bakame/headers.conf;"),
    "nginx: small bodies only": ("nginx", "client_max_body_size 2m;", "client_max_body_size 8k;", "body limits", "client_max_body_size 2m;"),
    "nginx: large bodies": ("nginx", "client_max_body_size 25m;", "client_max_body_size 0;", "body limits", "client_max_body_size 25m;"),
    "mod_proxy_fcgi: a stream is buffered": ("apache-proxy-fcgi", "flushpackets=on", "flushpackets=off", "stream", "flushpackets=on"),
    "mod_proxy_fcgi: no token": ("apache-proxy-fcgi", "CGIPassAuth On", "CGIPassAuth Off", "authorization", "CGIPassAuth On"),
    "mod_fcgid: a stream is buffered": ("apache-fcgid", "FcgidOutputBufferSize 0", "FcgidOutputBufferSize 65536", "stream", "FcgidOutputBufferSize 0"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_its_mending_told(model, name):
    front, old, new, finding, line = FAULTS[name]
    site = FrontStack(front, model, front_settings={"fault": (old, new)})
    try:
        status, report = examine(site.url)
    finally:
        site.close()
    assert status == 1
    found = [part for part in report.split("\n") if part.startswith("BAD")]
    assert found and all(part.split()[1] == finding.split()[0] for part in found), report
    assert line in report


def test_of_two_hops_the_one_that_buffers_is_named(start_site):
    inner = start_site("nginx")
    outer = start_site("nginx", front_settings={"fault": BUFFERING})
    status, report = examine(outer.url, inner.url)
    assert status == 1
    assert f"stands between {outer.url} and {inner.url}" in report


def test_a_limit_is_no_fault_of_the_fronts(start_site):
    site = start_site("nginx", RATE_LIMIT_GUEST="1/600")
    site.get("/api/health/stream?events=1&every=10").read()
    status, report = examine(site.url)
    assert status == 0, report
    assert "\n?     stream " in report and "ask again in a minute" in report


def test_a_limit_that_ends_soon_is_waited_for(start_site):
    site = start_site("nginx", RATE_LIMIT_GUEST="20/20")
    report = ""
    while "(429): waiting " not in report:          # unless the machine stood still until the limit had ended
        while site.get("/api/health/stream?events=1&every=20").status == 200:
            pass
        status, report = examine(site.url)
        assert status == 0 and "could not be told" not in report, report
    for what in ("stream", "compression", "abort", "authorization"):
        assert f"\nok    {what} " in report, report


def test_nobody_there_is_told():
    status, report = examine("http://127.0.0.1:1")
    assert status == 1 and "BAD   reached" in report
    assert "systemctl status nginx apache2" in report


class Reloading(BaseHTTPRequestHandler):
    """A front that has not yet heard of us, then one before a worker."""
    asked = 0

    def do_GET(self):
        Reloading.asked += 1
        self.send_response(404 if Reloading.asked == 1 else 200)
        self.end_headers()
        self.wfile.write(b'{"status":"alive"}')

    do_POST = do_GET

    def log_message(self, *_):
        pass


def test_a_front_that_was_just_told_to_reload_is_waited_for():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Reloading)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        _status, report = examine(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert "ok    reached" in report


class Slow(BaseHTTPRequestHandler):
    """A front and a worker that do all as they should, and seconds later than others."""
    protocol_version = "HTTP/1.0"
    SECONDS = 6
    left = None             # when the client left its stream
    had_upload = False

    def tell(self, code, **members):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(members).encode())

    def do_GET(self):
        if "/api/health/stream?" in self.path:
            self.stream(int(self.path.partition("events=")[2].partition("&")[0]))
        elif "/api/health/stream/" in self.path:
            has_gone = Slow.left is not None and time.monotonic() > Slow.left + self.SECONDS
            self.tell(200, state="gone" if has_gone else "running", authorization="Authorization" in self.headers)
        elif Slow.had_upload:
            self.send_response(200)
            self.end_headers()
            time.sleep(self.SECONDS)        # after it has said what the time is
            self.wfile.write(b"{}")
        else:
            self.tell(200, status="alive")

    def stream(self, events):
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(events):
                self.wfile.write(b"data: x\n\n")
                time.sleep(0.1)
        except ConnectionError:
            Slow.left = time.monotonic()

    def do_POST(self):
        if self.path == "/api/upload":
            time.sleep(self.SECONDS)
            Slow.had_upload = True
            self.tell(413)
        else:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.tell(400)

    def log_message(self, *_):
        pass


def test_one_that_is_slow_is_not_taken_for_one_with_faults():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        _status, report = examine(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert "\nok    abort " in report and "\nok    clock " in report, report
    assert "is refused before it is sent (413)" in report, report


def test_a_certificate_that_nobody_trusts_is_told(start_site):
    site = start_site("nginx-tls")
    status, report = examine(f"https://127.0.0.1:{site.front.tls_port}")
    assert status == 1 and "BAD   tls" in report and "certbot renew" in report


def test_it_wants_an_address():
    done = subprocess.run([CONTROL_PROGRAM, "doctor", "chat.example.org"], capture_output=True, text=True)
    assert done.returncode == 64 and "https://" in done.stderr
