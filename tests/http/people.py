"""people.py - people with accounts of our own, as a browser or a program is one of them."""
import json
import re
from http.cookies import SimpleCookie

SECRET = "a-secret-of-the-tests-that-nobody-knows-0123456789"
PASSWORD = "correct horse battery"
COOKIE = "bakame_session"
JSON = {"Content-Type": "application/json"}


def settings(database, **more):
    """For a stack with accounts of our own, without limits unless a test is about them."""
    return {"AUTH_MODE": "local", "SESSION_SECRET": SECRET, "DATABASE_URL": database.url, "DATABASE_POOL": 3,
            "DATABASE_TIMEOUT_MS": 60000, "RATE_LIMIT_SIGN_IN": "off", **more}


class Person:
    """One device of somebody's: keeps the cookie as a browser does."""

    def __init__(self, stack, email="ada@example.org", password=PASSWORD, name="Ada"):
        self.stack, self.email, self.password, self.name = stack, email, password, name
        self.cookie = None
        self.token = None
        self.user = None

    def send(self, method, path, body=None, cookie=True, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if cookie and self.cookie:
            headers["Cookie"] = f"{COOKIE}={self.cookie}"
        data = None
        if body is not None:
            headers = {**JSON, **headers}
            data = body if isinstance(body, (str, bytes)) else json.dumps(body)
        exchange = self.stack.request(method, path, data, headers)
        self._keep(exchange)
        return exchange

    def _keep(self, exchange):
        for header in exchange.answer.headers.get_all("Set-Cookie") or []:
            morsel = SimpleCookie(header).get(COOKIE)
            if morsel is not None:
                self.cookie = morsel.value or None

    def _enter(self, path, status, body):
        exchange = self.send("POST", path, body)
        answer = exchange.json()
        assert exchange.status == status, answer
        self.user, self.token = answer["user"], answer["access_token"]
        return answer

    def sign_up(self):
        self._enter("/api/auth/signup", 201, {"email": self.email, "password": self.password, "name": self.name})
        return self

    def sign_in(self):
        self._enter("/api/auth/login", 200, {"email": self.email, "password": self.password})
        return self

    def refresh(self):
        return self.send("POST", "/api/auth/refresh")

    def me(self, **headers):
        return self.send("GET", "/api/auth/me", **headers)

    def bearer(self, method, path, body=None, token=None):
        return self.send(method, path, body, cookie=False, Authorization=f"Bearer {token or self.token}")

    def make_key(self, name="laptop"):
        exchange = self.send("POST", "/api/auth/keys", {"name": name})
        answer = exchange.json()
        assert exchange.status == 201, answer
        assert re.fullmatch(r"bk_[A-Za-z0-9_-]{43}", answer["key"])
        return answer
