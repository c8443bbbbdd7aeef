"""tokens.py - tokens as Supabase makes them, and as others forge them; a server of public keys."""
import base64
import hashlib
import hmac
import http.server
import json
import subprocess
import threading
import time

SECRET = "super-secret-jwt-token-with-at-least-32-characters-long"
ADA = "11111111-1111-4111-8111-111111111111"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value):
    return b64(json.dumps(value).encode())


def claims(**more):
    """A person's, good for an hour; None takes one out."""
    now = int(time.time())
    values = {"sub": ADA, "aud": "authenticated", "role": "authenticated", "exp": now + 3600, "iat": now,
              "email": "ada@example.org", **more}
    return {name: value for name, value in values.items() if value is not None}


def hs256(body=None, secret=SECRET, header=None):
    text = part(header or {"alg": "HS256", "typ": "JWT"}) + "." + part(claims() if body is None else body)
    return text + "." + b64(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


def openssl(*words, data=None):
    return subprocess.run(["openssl", *map(str, words)], input=data, capture_output=True, check=True).stdout


class Key:
    """A key pair, RS256 or ES256."""

    def __init__(self, directory, alg, kid):
        self.alg, self.kid = alg, kid
        self.path = directory / f"{kid}.pem"
        kind = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if alg == "RS256" else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("genpkey", "-algorithm", *kind, "-out", self.path)

    @property
    def public_pem(self):
        return openssl("pkey", "-in", self.path, "-pubout").decode()

    def jwk(self):
        der = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")
        members = {"kid": self.kid, "alg": self.alg, "use": "sig"}
        if self.alg == "ES256":
            return {"kty": "EC", "crv": "P-256", "x": b64(der[-64:-32]), "y": b64(der[-32:]), **members}
        modulus = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().partition("=")[2].strip()
        return {"kty": "RSA", "n": b64(bytes.fromhex(modulus)), "e": "AQAB", **members}

    def token(self, body=None, header=None):
        text = part(header or {"alg": self.alg, "typ": "JWT", "kid": self.kid}) + "." + part(claims() if body is None else body)
        signature = openssl("dgst", "-sha256", "-sign", self.path, data=text.encode())
        return text + "." + b64(signature if self.alg == "RS256" else raw_signature(signature))


def raw_signature(der):
    """r and s of an ECDSA signature, 32 bytes each, out of its ASN.1 (RFC 7518, 3.4)."""
    numbers, at = b"", 2
    for _ in range(2):
        length = der[at + 1]
        numbers += der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + length
    return numbers


class KeyServer:
    """Serves a set of keys, or hangs, or fails; counts how often it was asked."""

    def __init__(self, *keys):
        self.keys, self.asked, self.mode = list(keys), 0, "serve"
        self.release = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                if outer.mode == "hang":
                    outer.release.wait(600)
                    return
                body = json.dumps({"keys": [key.jwk() for key in outer.keys]}).encode()
                self.send_response(200 if outer.mode == "serve" else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
