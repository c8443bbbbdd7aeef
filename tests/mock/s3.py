"""s3.py - a store that speaks as much of S3 as uploads need, in memory, and believes nobody whose signature is wrong.

    store = Store("AKIAEXAMPLE", "secret", region="r-1")    # listens on 127.0.0.1
    store.url; store.objects["/bucket/key"]                 # bytes
    store.faults.append(503)                                # the next answers

Signatures: docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html.
"""
import hashlib
import hmac
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, urlsplit


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def signature(self, scope, names, hash):
        """What it should be."""
        store, url = self.server.store, urlsplit(self.path)
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(parse_qsl(url.query)))
        headers = "".join(f"{name}:{' '.join(self.headers[name].split())}\n" for name in names.split(";"))
        canonical = "\n".join((self.command, url.path, query, headers, names, hash))
        to_sign = "\n".join(("AWS4-HMAC-SHA256", self.headers["X-Amz-Date"], scope,
                             hashlib.sha256(canonical.encode()).hexdigest()))
        key = ("AWS4" + store.secret).encode()
        for part in scope.split("/"):
            key = sign(key, part)
        return sign(key, to_sign).hex()

    def is_believed(self, body):
        store, hash = self.server.store, self.headers.get("x-amz-content-sha256", "")
        match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/([^/]+)/s3/aws4_request), ?"
                             r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})", self.headers.get("Authorization", ""))
        return (match and match[1] == store.key_id and match[3] == store.region
                and {"host", "x-amz-content-sha256", "x-amz-date"} <= set(match[4].split(";"))
                and hash == hashlib.sha256(body).hexdigest() and match[5] == self.signature(match[2], match[4], hash))

    def handle_one(self):
        store = self.server.store
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if store.faults:
            return self.answer(store.faults.pop(0), b"<Error><Code>SlowDown</Code></Error>")
        if not self.is_believed(body):
            return self.answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if self.command == "PUT":
            store.objects[self.path] = body
            return self.answer(200)
        if self.command == "DELETE":
            store.objects.pop(self.path, None)
            return self.answer(204)
        found = store.objects.get(self.path)
        return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>") if found is None else self.answer(200, found)

    do_GET = do_PUT = do_DELETE = handle_one


class Store:
    def __init__(self, key_id, secret, region):
        self.key_id, self.secret, self.region = key_id, secret, region
        self.objects, self.faults = {}, []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.store = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
