"""Every route with something of a person's: another's ids, and metacharacters in every field; a database that only reads."""
import json
import re
import uuid
from pathlib import Path
from urllib.parse import quote

import pytest

import test_uploads
from contract import STATUS_OF, assert_error
from people import Person, settings
from postgres import psql
from samples import png
from stack import Stack, chat_body, wait_until

ROUTES_C = Path(__file__).resolve().parents[2] / "src" / "handlers" / "routes.c"
ROUTE = re.compile(r'^\t\{"([A-Z]+)",\s*"([^"]+)",\s*(\w+),', re.MULTILINE)
NOBODYS = "11111111-2222-4333-8444-555555555555"
QUESTION = {"role": "user", "content": "Hello"}
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def house(tmp_path_factory, model, cluster):
    database = cluster.new_database()
    stack = Stack(tmp_path_factory.mktemp("stack"), model, **settings(
        database, RATE_LIMIT_USER="5000/60", UPLOAD_DIR=tmp_path_factory.mktemp("uploads")))
    stack.database = database
    yield stack
    stack.close()


def somebody(stack, role="user"):
    person = Person(stack, f"{uuid.uuid4()}@example.org").sign_up()
    if role == "admin":
        stack.database.sql(f"update users set role = 'admin' where id = '{person.user['id']}'")
        person.sign_in()
    return person


@pytest.fixture(scope="module")
def ada(house):
    """Somebody with one of each."""
    ada = somebody(house)
    told = ada.bearer("POST", "/api/chat", chat_body("a secret")).events()[0]["bakame"]
    ada.conversation, ada.message, ada.answer = told["conversation_id"], told["user_message_id"], told["message_id"]
    ada.file = test_uploads.upload(ada, "secret.png", png())["id"]
    ada.key = ada.make_key()
    return ada


@pytest.fixture(scope="module")
def root(house):
    return somebody(house, "admin")


def state(ada):
    """What is hers."""
    files = ada.bearer("GET", "/api/upload").json()["files"]
    keys = ada.bearer("GET", "/api/auth/keys").json()["keys"]
    return json.dumps([ada.bearer("GET", f"/api/conversations/{ada.conversation}").json(), files,
                       [key["id"] for key in keys], ada.bearer("GET", "/api/auth/me").json()], sort_keys=True)


def others(ada):
    """By route: how its id is filled in, what is sent along, and what another person and an administrator are answered."""
    conversation = {"conversation_id": ada.conversation}
    gone = ("not_found", "not_found")
    return {
        ("POST", "/api/chat"): [
            ("", {"messages": [QUESTION], **conversation}, gone),
            ("", {"messages": [QUESTION], **conversation, "parent_id": ada.message}, gone),
            ("", {"messages": [QUESTION], **conversation, "parent_id": ada.answer, "regenerate": True}, gone),
            ("", {"messages": [QUESTION], "attachments": [ada.file]}, gone)],
        ("DELETE", "/api/auth/keys/{id}"): [(ada.key["id"], None, gone)],
        ("GET", "/api/conversations/{id}"): [(ada.conversation, None, gone), (ada.conversation + "?cursor=", None, gone)],
        ("PATCH", "/api/conversations/{id}"): [(ada.conversation, {"title": "mine", "pinned": True}, gone)],
        ("DELETE", "/api/conversations/{id}"): [(ada.conversation, None, gone)],
        ("GET", "/api/upload/{id}"): [(ada.file, None, gone)],
        ("GET", "/api/upload/{id}/meta"): [(ada.file, None, gone)],
        ("DELETE", "/api/upload/{id}"): [(ada.file, None, gone)],
        # theirs to see and to change: tests/http/test_admin.py
        ("PATCH", "/api/admin/users/{id}"): [(ada.user["id"], {"role": "user"}, ("forbidden", None))],
    }


# Nothing of a person's goes by these ids.
NO_PERSONS = {("POST", "/api/admin/services/{id}/reset"), ("GET", "/api/health/stream/{id}")}


def test_each_route_with_an_id_is_tried_with_anothers(house, ada, root):
    """404 for a person and for an administrator, 401 for a guest; and all is as it was."""
    routes = {(method, path) for method, path, _ in ROUTE.findall(ROUTES_C.read_text())}
    assert len(routes) > 30
    tried = others(ada)
    assert {route for route in routes if "{id}" in route[1]} == {route for route in tried if "{id}" in route[1]} | NO_PERSONS
    before = state(ada)
    eve = somebody(house)
    for (method, path), cases in tried.items():
        for id, body, kinds in cases:
            for person, kind in zip((eve, root), kinds):
                if kind:
                    assert_error(person.bearer(method, path.replace("{id}", id), body), kind)
            guest = house.request(method, path.replace("{id}", id), json.dumps(body) if body else None,
                                  {"Content-Type": "application/json"})
            assert_error(guest, "unauthorized")
    assert state(ada) == before


def test_lists_hold_nothing_of_others(house, ada):
    eve = somebody(house)
    for path in ("/api/conversations", "/api/conversations?q=secret", "/api/upload", "/api/auth/keys"):
        (rows,) = [value for value in eve.bearer("GET", path).json().values() if isinstance(value, list)]
        assert rows == [], path
    assert eve.user["id"] in (text := eve.bearer("GET", "/api/auth/export").read().decode())
    assert all(secret not in text for secret in (ada.email, ada.user["id"], ada.conversation, ada.file, "a secret"))


# ---- metacharacters ----

NASTY = ["'; drop table users; --", "' or '1'='1", "$1%s%n", "\\x00\\", "../../etc/passwd", "\r\nX-Injected: yes\r\n\r\n",
         "\u202e\u0000x", "\U0001f600" * 100, "-1", "9" * 400, "x" * 5000, "*"]

# {} is where one goes.
PATHS = [("GET", "/api/conversations?q={}"), ("GET", "/api/conversations?cursor={}"), ("GET", "/api/conversations?limit={}"),
         ("GET", "/api/conversations/{}"), ("PATCH", "/api/conversations/{}"), ("DELETE", "/api/conversations/{}"),
         ("GET", "/api/upload/{}"), ("GET", "/api/upload/{}/meta"), ("DELETE", "/api/upload/{}"), ("GET", "/api/upload?cursor={}"),
         ("DELETE", "/api/auth/keys/{}"), ("GET", "/api/admin/users?q={}"), ("GET", "/api/admin/users?cursor={}"),
         ("PATCH", "/api/admin/users/{}"), ("GET", "/api/admin/usage?from={}"), ("GET", "/api/admin/usage?to={}"),
         ("GET", "/api/admin/usage?bucket={}"), ("GET", "/api/admin/audit?cursor={}"), ("POST", "/api/admin/services/{}/reset")]

CHAT = {"messages": [QUESTION]}
FIELDS = [("POST", "/api/chat", {**CHAT, "conversation_id": 0}), ("POST", "/api/chat", {**CHAT, "parent_id": 0}),
          ("POST", "/api/chat", {**CHAT, "attachments": [0]}), ("POST", "/api/chat", {**CHAT, "tools": [0]}),
          ("POST", "/api/chat", {**CHAT, "model": 0}), ("POST", "/api/chat", {"messages": [{"role": 0, "content": "x"}]}),
          ("POST", "/api/auth/keys", {"name": 0}), ("POST", "/api/auth/password", {"current": 0, "new": PASSWORD}),
          ("POST", "/api/auth/login", {"email": 0, "password": PASSWORD}),
          ("POST", "/api/auth/login", {"email": "a@example.org", "password": 0}),
          ("POST", "/api/auth/signup", {"email": 0, "password": PASSWORD}),
          ("PATCH", "/api/conversations/" + NOBODYS, {"title": 0}), ("PATCH", "/api/admin/users/" + NOBODYS, {"role": 0}),
          ("PATCH", "/api/admin/users/" + NOBODYS, {"rate_limit": 0}), ("PATCH", "/api/admin/users/" + NOBODYS, {"tokens_per_day": 0})]

HEADERS = ["User-Agent", "Origin", "Cookie", "X-Request-Id", "Traceparent", "X-Forwarded-For", "Accept-Language", "Content-Type",
           "Authorization", "Range", "If-None-Match"]


def filled(value, text):
    if isinstance(value, dict):
        return {name: filled(member, text) for name, member in value.items()}
    if isinstance(value, list):
        return [filled(member, text) for member in value]
    return text if value == 0 else value


def judge(exchange, what):
    """A clear answer, whatever it is: nothing broke, nothing leaked, nothing was put into the head of the answer."""
    body = exchange.read()
    assert exchange.status < 500, (what, exchange.status, body)
    assert exchange.header("X-Injected") is None, what
    if exchange.status >= 400 and exchange.header("X-Request-Id"):      # else it is the front's own
        error = json.loads(body)["error"]
        assert STATUS_OF[error["type"]] == exchange.status, what
        for leak in ("bakame.", "users", "syntax", "select ", "pq:", "/srv", "/tmp"):
            assert leak not in error["message"].replace(what, ""), (what, error)


@pytest.mark.parametrize("method, path", PATHS)
def test_metacharacters_in_each_path_and_parameter(house, root, method, path):
    for text in NASTY:
        judge(root.bearer(method, path.replace("{}", quote(text, safe="")), {} if method == "PATCH" else None), text)
    house.assert_serves()


@pytest.mark.parametrize("method, path, body", FIELDS, ids=lambda value: value if isinstance(value, str) else "-".join(value))
def test_metacharacters_in_each_field(house, root, method, path, body):
    for text in NASTY:
        judge(root.bearer(method, path, filled(body, text)), text)
    house.assert_serves()


@pytest.mark.parametrize("name", HEADERS)
def test_metacharacters_in_each_header(house, ada, name):
    for text in NASTY:
        value = text.encode().replace(b"\r", b"").replace(b"\n", b" ").replace(b"\0", b"").decode("latin-1")
        judge(house.request("POST", "/api/chat", json.dumps(CHAT), {
            "Content-Type": "application/json", "Authorization": f"Bearer {ada.token}", name: value}), text)
    house.assert_serves()


def test_after_all_that_everything_is_there(house, ada):
    assert_tables = house.database.rows("select relname from pg_class where relnamespace = 'bakame'::regnamespace and relkind = 'r'")
    assert {"users", "messages", "conversations", "uploads"} <= {row[0] for row in assert_tables}
    assert "a secret" in state(ada)
    for line in house.worker.log():
        assert "X-Injected" not in line


# ---- a database that only reads ----

def test_a_database_that_only_reads_is_told_and_chat_goes_on(start_stack, database, cluster):
    stack = start_stack(**settings(database, BREAKER_DATABASE="off"))
    stack.database = database
    ada = somebody(stack)
    key = ada.make_key()
    told = ada.bearer("POST", "/api/chat", chat_body("before")).events()[0]["bakame"]
    psql(cluster.url("postgres"), f"alter database {database.name} set default_transaction_read_only = on")
    database.kill_backends()
    path = f"/api/conversations/{told['conversation_id']}"
    wait_until(lambda: ada.bearer("GET", path).status == 200)
    events = ada.bearer("POST", "/api/chat", chat_body("meanwhile", conversation_id=told["conversation_id"])).events()
    assert events[0]["bakame"]["saved"] is False and events[-1] == "[DONE]"
    for method, address, body in (("PATCH", path, {"title": "x"}), ("DELETE", path, None), ("POST", "/api/auth/keys", {"name": "x"}),
                                  ("DELETE", f"/api/auth/keys/{key['id']}", None), ("DELETE", "/api/auth/me", None),
                                  ("POST", "/api/auth/login", {"email": ada.email, "password": PASSWORD})):
        exchange = ada.bearer(method, address, body)
        assert int(exchange.header("Retry-After")) >= 1, address
        assert_error(exchange, "service_unavailable")
    assert len(ada.bearer("GET", path).json()["messages"]) == 2
    psql(cluster.url("postgres"), f"alter database {database.name} reset default_transaction_read_only")
    database.kill_backends()
    wait_until(lambda: ada.bearer("PATCH", path, {"title": "after"}).status == 200)
    assert ada.bearer("GET", path).json()["title"] == "after"
