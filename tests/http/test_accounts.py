"""Accounts of our own: a whole life, sessions that rotate, keys, and what must not work."""
import contextlib
import ctypes
import json
import os
import re
import subprocess
import threading

import pytest

import fcgi
from contract import assert_error, assert_retry_after
from people import COOKIE, PASSWORD, Person, settings
from stack import Stack, wait_until
from worker import has_sanitizers

NASTY = """'; drop table users; -- " \\ $1 %s {{7*7}} <script> Ç𝒳 ' or '1'='1"""


@pytest.fixture(scope="module")
def house(tmp_path_factory, model, cluster):
    """Two workers with accounts, for all tests here."""
    stack = Stack(tmp_path_factory.mktemp("stack"), model, workers=2, **settings(cluster.new_database()))
    yield stack
    stack.close()


@pytest.fixture
def ada(house, request):
    """Somebody new for each test."""
    return Person(house, f"{request.node.name.replace('[', '-').rstrip(']')[:50]}@example.org").sign_up()


def test_a_whole_life(start_stack, database):
    stack = start_stack(**settings(database))
    ada = Person(stack).sign_up()
    assert ada.user["email"] == "ada@example.org" and ada.user["role"] == "user"
    assert ada.me().json()["user"] == ada.user
    assert ada.bearer("GET", "/api/auth/me").json()["user"] == ada.user
    key = ada.make_key()
    assert ada.bearer("GET", "/v1/models", token=key["key"]).status == 200
    other = Person(stack).sign_in()
    assert ada.send("POST", "/api/auth/password", {"current": PASSWORD, "new": "another good one"}).status == 204
    assert ada.me().status == 200
    assert_error(other.me(), "unauthorized")            # the other device has to sign in anew
    assert_error(Person(stack).send("POST", "/api/auth/login", {"email": ada.email, "password": PASSWORD}), "unauthorized")
    ada.password = "another good one"
    ada.sign_in()
    old = ada.cookie
    assert ada.send("POST", "/api/auth/logout").status == 204
    assert ada.cookie is None
    ada.cookie = old
    assert_error(ada.me(), "unauthorized")
    ada.sign_in()
    assert ada.send("DELETE", "/api/auth/me").status == 204
    assert ada.cookie is None
    assert_error(ada.bearer("GET", "/api/auth/me"), "unauthorized")
    assert_error(ada.bearer("GET", "/v1/models", token=key["key"]), "unauthorized")
    assert_error(Person(stack).send("POST", "/api/auth/login", {"email": ada.email, "password": ada.password}), "unauthorized")
    for table in ("users", "passwords", "sessions", "api_keys"):
        assert database.sql(f"select count(*) from {table}") == "0"
    assert database.sql("select action from audit_log") == "user.erased"


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(house):
    plain = house.request("POST", "/api/auth/signup", '{"email":"cookie@example.org","password":"12345678"}',
                          {"Content-Type": "application/json"})
    header = plain.header("Set-Cookie")
    assert re.fullmatch(rf"{COOKIE}=[\w.-]+; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000", header), header
    with house.fastcgi() as connection:
        body = b'{"email":"cookie@example.org","password":"12345678"}'
        response = connection.ask("POST", "/api/auth/login", body=body, CONTENT_TYPE="application/json", HTTPS="on")
    assert response.status == 200
    assert response.headers["set-cookie"].endswith("; Secure")


@contextlib.contextmanager
def changing(database, statement):
    """Until the end of it the statement is done, and nobody sees it yet."""
    psql = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database.url], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]})
    psql.stdin.write(f"begin; set search_path = bakame; {statement}; select 'done';\n")
    psql.stdin.flush()
    assert psql.stdout.readline() == "done\n"
    yield
    psql.communicate("commit;\n")
    assert psql.returncode == 0


def answer_after(database, statement, ask):
    """What is answered by a request that met the change on its way: it waits for it, or has gone before it."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    with changing(database, statement):
        thread.start()
        wait_until(lambda: not thread.is_alive() or database.sql("select count(*) from pg_locks where not granted") != "0", 60)
    thread.join()
    return answers[0]


def outdated_hash(password):
    sodium, out = ctypes.CDLL("libsodium.so.23"), ctypes.create_string_buffer(128)
    assert sodium.crypto_pwhash_str(out, password.encode(), ctypes.c_ulonglong(len(password)), ctypes.c_ulonglong(1),
                                    ctypes.c_size_t(8192)) == 0
    return out.value.decode()


ANOTHER = "update passwords set hash = 'another', changed_at = clock_timestamp()"


@pytest.mark.parametrize("outdated", [False, True])
def test_who_signs_in_while_the_password_is_changed_needs_the_new_one(start_stack, database, outdated):
    """By the old one no session begins, nor does it come back where its hash is made anew."""
    ada = Person(start_stack(**settings(database))).sign_up()
    if outdated:
        database.sql(f"update passwords set hash = '{outdated_hash(PASSWORD)}'")
    again = Person(ada.stack)
    exchange = answer_after(database, ANOTHER, lambda: again.send("POST", "/api/auth/login",
                                                                  {"email": ada.email, "password": PASSWORD}))
    assert_error(exchange, "unauthorized")
    assert again.cookie is None
    assert database.sql("select hash from passwords") == "another"
    assert database.sql("select count(*) from sessions") == "1"


def test_an_outdated_hash_is_made_anew(start_stack, database):
    ada = Person(start_stack(**settings(database))).sign_up()
    old = outdated_hash(PASSWORD)
    database.sql(f"update passwords set hash = '{old}'")
    ada.sign_in()
    assert database.sql("select hash from passwords").startswith("$argon2id$v=19$m=32768,t=3,")
    ada.sign_in()


def test_a_password_that_was_changed_meanwhile_is_not_changed_again(start_stack, database):
    ada = Person(start_stack(**settings(database))).sign_up()
    other = Person(ada.stack).sign_in()
    body = {"current": PASSWORD, "new": "mine from now on"}
    assert_error(answer_after(database, ANOTHER, lambda: ada.send("POST", "/api/auth/password", body)), "conflict")
    assert database.sql("select hash from passwords") == "another"
    assert other.me().status == 200


def test_nothing_secret_is_kept_as_it_is(start_stack, database):
    stack = start_stack(**settings(database))
    ada = Person(stack).sign_up()
    key = ada.make_key()["key"]
    kept = database.sql("select jsonb_agg(to_jsonb(p)) from passwords p") + database.sql(
        "select jsonb_agg(to_jsonb(s)) from sessions s") + database.sql("select jsonb_agg(to_jsonb(k)) from api_keys k")
    for secret in (PASSWORD, ada.cookie, ada.cookie.split(".")[2], ada.token, key, key[10:]):
        assert secret not in kept
        assert all(secret not in worker.stderr() for worker in stack.workers)
    assert "$argon2id$" in kept


def test_a_refreshed_session_goes_on_with_a_new_token(ada):
    before = ada.cookie
    answer = ada.refresh().json()
    assert answer["user"] == ada.user and answer["expires_in"] == 900
    assert ada.cookie and ada.cookie != before
    assert ada.me().status == 200
    assert ada.bearer("GET", "/api/auth/me", token=answer["access_token"]).status == 200


def test_a_token_that_was_refreshed_already_ends_the_session(ada):
    stolen = ada.cookie
    assert ada.refresh().status == 200
    mine = ada.cookie
    thief = Person(ada.stack)
    thief.cookie = stolen
    assert_error(thief.refresh(), "unauthorized")
    assert thief.cookie is None
    ada.cookie = mine
    assert_error(ada.me(), "unauthorized")
    ada.cookie = mine
    assert_error(ada.refresh(), "unauthorized")
    assert_error(ada.bearer("GET", "/api/auth/me"), "unauthorized")


def test_requests_on_their_way_with_the_token_before_are_served(ada):
    before = ada.cookie
    assert ada.refresh().status == 200
    ada.cookie = before
    assert ada.me().status == 200


def test_signing_out_without_a_session_takes_the_cookie_away(house):
    nobody = Person(house)
    nobody.cookie = "not.a.token"
    assert nobody.send("POST", "/api/auth/logout").status == 204
    assert nobody.cookie is None


def test_who_has_no_cookie_signs_out_by_the_token(ada):
    assert ada.bearer("GET", "/api/auth/me").status == 200
    assert ada.bearer("POST", "/api/auth/logout").status == 204
    assert_error(ada.bearer("GET", "/api/auth/me"), "unauthorized")
    assert_error(ada.bearer("POST", "/api/chat", {"messages": [{"role": "user", "content": "x"}]}), "unauthorized")


@pytest.mark.parametrize("headers, status", [
    ({"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"}, 403),
    ({"Sec_Fetch_Site": "same-site"}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec_Fetch_Site": "same-origin"}, 204),
    ({}, 204),
])
def test_another_sites_page_changes_nothing(ada, headers, status):
    key = ada.make_key()
    exchange = ada.send("DELETE", f"/api/auth/keys/{key['id']}", **headers)
    assert exchange.status == status
    left = [key["id"] for key in ada.send("GET", "/api/auth/keys").json()["keys"]]
    assert (key["id"] in left) == (status == 403)


def test_the_own_page_may_and_so_may_configured_sites(start_stack, database):
    stack = start_stack(CORS_ORIGINS="https://www.example.org https://b.example", **settings(database))
    ada = Person(stack).sign_up()
    own = f"http://127.0.0.1:{stack.front.port}"
    for origin in (own, "https://www.example.org", "https://b.example"):
        assert ada.send("POST", "/api/auth/keys", {"name": "x"}, Origin=origin).status == 201
    for origin in ("https://www.example.org.evil.example", "https://www.example", "http://127.0.0.2"):
        assert_error(ada.send("POST", "/api/auth/keys", {"name": "x"}, Origin=origin), "forbidden")
    assert_error(Person(stack).send("POST", "/api/auth/login", {"email": ada.email, "password": PASSWORD},
                                    Origin="https://evil.example"), "forbidden")
    # a program's token is sent by nobody unasked
    assert ada.bearer("POST", "/api/auth/keys", {"name": "x"}).status == 201


def test_keys_are_for_v1_and_shown_once(ada):
    key = ada.make_key("my laptop")
    (listed,) = ada.send("GET", "/api/auth/keys").json()["keys"]
    assert listed == {**{name: key[name] for name in ("id", "name", "prefix", "created_at")}, "last_used_at": None}
    assert key["key"].startswith(listed["prefix"]) and len(listed["prefix"]) == 9
    assert ada.bearer("GET", "/v1/models", token=key["key"]).status == 200
    assert "for /v1" in assert_error(ada.bearer("GET", "/api/auth/me", token=key["key"]), "unauthorized")
    assert_error(ada.bearer("POST", "/api/chat", {"messages": []}, token=key["key"]), "unauthorized")
    (used,) = ada.send("GET", "/api/auth/keys").json()["keys"]
    assert used["last_used_at"]
    assert ada.send("DELETE", f"/api/auth/keys/{key['id']}").status == 204
    assert_error(ada.bearer("GET", "/v1/models", token=key["key"]), "unauthorized")
    assert_error(ada.send("DELETE", f"/api/auth/keys/{key['id']}"), "not_found")
    assert ada.send("GET", "/api/auth/keys").json()["keys"] == []


def test_there_are_no_more_keys_than_can_be_listed(start_stack, database):
    ada = Person(start_stack(workers=2, **settings(database))).sign_up()
    database.sql(f"insert into api_keys (user_id, name, prefix, key_hash) select '{ada.user['id']}', 'x', 'x', sha256(n::text::bytea) "
                 "from generate_series(1, 48) n; "
                 # so that they meet
                 "create function slowly() returns trigger language plpgsql as 'begin perform pg_sleep(0.2); return new; end'; "
                 "create trigger slowly before insert on api_keys for each row execute function slowly()")
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(ada.bearer("POST", "/api/auth/keys", {"name": "y"}).status))
               for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 2 + [409] * 10
    assert len(ada.bearer("GET", "/api/auth/keys").json()["keys"]) == 50


def test_somebody_elses_key_is_not_there(ada, house):
    key = ada.make_key()
    eve = Person(house, "eve-of-keys@example.org").sign_up()
    for target in (key["id"], "0", "../me", "%00", "'; select 1; --"):
        assert_error(eve.send("DELETE", f"/api/auth/keys/{target.replace(' ', '%20')}"), "not_found") \
            if "/" not in target and "%00" not in target else None
    assert ada.bearer("GET", "/v1/models", token=key["key"]).status == 200


def test_wrong_name_and_wrong_password_are_answered_alike(ada, house):
    answers = []
    for email, password in ((ada.email, "wrong password"), ("nobody@example.org", PASSWORD)):
        exchange = Person(house).send("POST", "/api/auth/login", {"email": email, "password": password})
        answers.append((exchange.status, assert_error(exchange, "unauthorized"), exchange.header("Set-Cookie")))
    assert answers[0] == answers[1] == (401, "E-mail address or password is wrong.", None)


def test_an_address_has_one_account_whatever_its_letters(ada, house):
    again = {"email": ada.email.upper(), "password": PASSWORD}
    assert_error(Person(house).send("POST", "/api/auth/signup", again), "conflict")
    assert Person(house).send("POST", "/api/auth/login", again).status == 200


@pytest.mark.parametrize("body, words", [
    ({"password": PASSWORD}, "email is missing"),
    ({"email": 7, "password": PASSWORD}, "email must be a string"),
    ({"email": "ada", "password": PASSWORD}, "email is not an e-mail address"),
    ({"email": "a b@example.org", "password": PASSWORD}, "email is not an e-mail address"),
    ({"email": "a@b@example.org", "password": PASSWORD}, "email is not an e-mail address"),
    ({"email": "a\r\nBcc: x@example.org", "password": PASSWORD}, "email must not have control characters"),
    ({"email": "a@" + "b" * 300, "password": PASSWORD}, "email must have at most 254"),
    ({"email": "x@example.org"}, "password is missing"),
    ({"email": "x@example.org", "password": ["12345678"]}, "password is missing"),
    ({"email": "x@example.org", "password": "1234567"}, "password must have at least 8"),
    ({"email": "x@example.org", "password": "1" * 1025}, "password must have at most 1024"),
    ({"email": "x@example.org", "password": PASSWORD, "name": "a\u0001"}, "name must not have control characters"),
    ({"email": "x@example.org", "password": PASSWORD, "name": "a" * 101}, "name must have at most 100"),
    ({"email": "x@example.org", "password": PASSWORD, "name": {}}, "name must be a string"),
])
def test_what_is_wrong_is_said(house, body, words):
    assert words in assert_error(Person(house).send("POST", "/api/auth/signup", body), "invalid_request")


def test_metacharacters_are_but_text(house):
    person = Person(house, "o'brien;--$1@example.org".replace(";", ""), password=NASTY, name=NASTY[:90]).sign_up()
    assert person.user["name"] == NASTY[:90].strip()
    assert Person(house, person.email, NASTY).sign_in().user["id"] == person.user["id"]
    key = person.make_key(NASTY[:90])
    assert key["name"] == NASTY[:90].strip()
    exchange = person.send("GET", "/api/auth/me", User_Agent=NASTY.encode().decode("latin-1"))
    assert exchange.status == 200


@pytest.mark.parametrize("token", [
    "x", "a.b.c", "e30.e30.", "..", "null", "bk_", "bk_" + "A" * 43, "bk_" + "A" * 5000, "'; drop table users; --",
])
def test_a_bad_token_is_refused_and_never_a_guest(house, token):
    for path in ("/v1/models", "/api/auth/me"):
        exchange = house.get(path, Authorization=f"Bearer {token}")
        assert_error(exchange, "unauthorized")
        assert exchange.header("WWW-Authenticate") == "Bearer"
    if not token.startswith("bk_"):
        assert_error(house.get("/v1/models", Cookie=f"{COOKIE}={token.split(';')[0]}"), "unauthorized")


def test_other_schemes_are_refused(house):
    assert_error(house.get("/v1/models", Authorization="Basic YWRhOnNlY3JldA=="), "unauthorized")


def test_one_kind_of_token_is_not_the_other(ada):
    assert_error(ada.bearer("GET", "/api/auth/me", token=ada.cookie), "unauthorized")
    ada.cookie = ada.token
    assert_error(ada.me(), "unauthorized")
    assert_error(ada.refresh(), "unauthorized")


def test_guests_have_no_account(house):
    for method, path in (("GET", "/api/auth/me"), ("DELETE", "/api/auth/me"), ("GET", "/api/auth/export"),
                         ("GET", "/api/auth/keys"), ("POST", "/api/auth/password")):
        assert_error(house.request(method, path), "unauthorized")
    assert house.get("/v1/models").status == 200


def test_tries_are_throttled_by_address_and_by_account(start_stack, database):
    stack = start_stack(**settings(database, RATE_LIMIT_SIGN_IN="3/3600"))
    wrong = b'{"email":"ada@example.org","password":"not this one"}'

    def attempt(address, body=wrong):
        with stack.fastcgi() as connection:
            return connection.ask("POST", "/api/auth/login", body=body, CONTENT_TYPE="application/json", REMOTE_ADDR=address)
    assert [attempt("192.0.2.1").status for _ in range(4)] == [401, 401, 401, 429]
    assert int(attempt("192.0.2.1", wrong.replace(b"ada", b"bea")).headers["retry-after"]) >= 1
    assert attempt("192.0.2.2").status == 429                               # the account's own limit
    assert attempt("192.0.2.3", wrong.replace(b"ada", b"ADA")).status == 429
    assert attempt("192.0.2.3", wrong.replace(b"ada", b"eve")).status == 401


def test_an_account_has_one_limit_however_its_name_is_written(start_stack, database):
    """To PostgreSQL the Kelvin sign is a large k, and a large i may have its dot."""
    stack = start_stack(**settings(database, RATE_LIMIT_SIGN_IN="4/3600"))
    Person(stack, "kiki@example.org").sign_up()

    def attempt(number, name):
        body = json.dumps({"email": f"{name}@example.org", "password": "not this one"}).encode()
        with stack.fastcgi() as connection:
            return connection.ask("POST", "/api/auth/login", body=body, CONTENT_TYPE="application/json",
                                  REMOTE_ADDR=f"192.0.2.{number}").status
    names = ["kiki", "\u212aiki", "ki\u212ai", "\u212ai\u212ai", "k\u0130ki"]
    assert [attempt(number, name) for number, name in enumerate(names)] == [401, 401, 401, 429, 429]


def test_with_sign_up_closed_only_the_operator_makes_accounts(start_stack, database):
    stack = start_stack(**settings(database, SIGN_UP="off"))
    assert "operator" in assert_error(
        Person(stack).send("POST", "/api/auth/signup", {"email": "a@example.org", "password": PASSWORD}), "forbidden")


def test_without_accounts_all_are_guests(stack):
    for method, path in (("POST", "/api/auth/signup"), ("POST", "/api/auth/login"), ("POST", "/api/auth/logout"),
                         ("POST", "/api/auth/refresh")):
        assert_error(stack.request(method, path, "{}", {"Content-Type": "application/json"}), "not_found")
    assert stack.get("/v1/models", Authorization="Bearer whatever").status == 200


def test_a_database_that_is_not_set_up_is_503_with_when_to_come_again(start_stack, database):
    """Every 503 says when, though nobody knows better."""
    stranger = f"stranger_{database.name}"
    database.sql(f"create role {stranger} login")
    stack = start_stack(**settings(database, DATABASE_URL=database.as_role(stranger)))
    exchange = Person(stack).send("POST", "/api/auth/login", {"email": "ada@example.org", "password": PASSWORD})
    assert_error(exchange, "service_unavailable")
    assert_retry_after(exchange)


def test_the_database_away_ends_no_session(start_stack, database):
    stack = start_stack(**settings(database))
    ada = Person(stack).sign_up()
    unseen = Person(stack).sign_in()
    key = ada.make_key()["key"]
    assert ada.bearer("GET", "/v1/models", token=key).status == 200
    database.cut_off()
    for person in (ada, unseen):
        exchange = person.send("POST", "/api/chat", {"messages": [{"role": "user", "content": "Hello"}]})
        assert exchange.status == 200 and exchange.events()[-1] == "[DONE]"
        assert person.bearer("GET", "/v1/models").status == 200
    assert ada.bearer("GET", "/v1/models", token=key).status == 200
    assert_error(ada.bearer("GET", "/v1/models", token="bk_" + "x" * 43), "service_unavailable")
    assert_error(ada.me(), "service_unavailable")
    login = {"email": ada.email, "password": PASSWORD}
    assert_error(Person(stack).send("POST", "/api/auth/login", login), "service_unavailable")
    database.let_in()
    wait_until(lambda: Person(stack).send("POST", "/api/auth/login", login).status == 200, what="signing in again")


def test_an_account_may_take_longer_to_erase_than_a_transaction_otherwise(start_stack, database):
    """One with years of conversations: else its owner could never."""
    stack = start_stack(**settings(database, DATABASE_TIMEOUT_MS=1000))
    ada = Person(stack)
    wait_until(lambda: ada.send("POST", "/api/auth/signup", {"email": ada.email, "password": ada.password}).status in (201, 409))
    wait_until(lambda: ada.send("POST", "/api/auth/login", {"email": ada.email, "password": ada.password}).status == 200)
    database.sql("create function slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(1.5); return old; end $$;"
                 " create trigger slowly before delete on users for each row execute function slowly()")
    assert ada.send("DELETE", "/api/auth/me").status == 204
    assert database.sql("select count(*) from users") == "0"


def test_the_export_has_all_of_ones_own_and_nothing_of_others(start_stack, database):
    stack = start_stack(**settings(database))
    ada, eve = Person(stack).sign_up(), Person(stack, "eve@example.org", name="Eve").sign_up()
    for person, count in ((ada, 120), (eve, 1)):
        database.sql(
            f"insert into conversations (user_id, title) select '{person.user['id']}', 'talk of {person.name} ' || n"
            f" from generate_series(1, {count}) n;"
            " insert into messages (id, conversation_id, user_id, role, content, text)"
            " select gen_random_uuid(), c.id, c.user_id, 'user', to_jsonb('Muraho ' || n), 'Muraho ' || n"
            f" from conversations c, generate_series(1, 45) n where c.user_id = '{person.user['id']}' and c.title like '% 1'")
    ada.make_key()
    exchange = ada.send("GET", "/api/auth/export")
    everything = exchange.json()
    assert exchange.header("Content-Disposition").startswith("attachment")
    assert set(everything) == {"user", "sessions", "api_keys", "usage", "uploads", "conversations"}
    assert everything["user"]["id"] == ada.user["id"]
    assert len(everything["sessions"]) == len(everything["api_keys"]) == 1
    assert sorted(talk["title"] for talk in everything["conversations"]) == sorted(f"talk of Ada {n}" for n in range(1, 121))
    (talk,) = [talk for talk in everything["conversations"] if talk["title"] == "talk of Ada 1"]
    assert [message["content"] for message in talk["messages"]] == [f"Muraho {n}" for n in range(1, 46)]
    text = str(everything)
    assert eve.user["id"] not in text and "Eve" not in text and "hash" not in text


LARGE = {
    "messages": "insert into conversations (user_id) select id from users; insert into messages (id, conversation_id, user_id, role, "
                "content, text) select gen_random_uuid(), c.id, c.user_id, 'user', to_jsonb(t), t from conversations c, "
                "generate_series(1, 12), repeat('Muraho ', 140000) t",
    "files": "insert into uploads (id, user_id, name, type, size, sha256, storage, storage_key, text, stored_at) select "
             "gen_random_uuid(), u.id, 'x.txt', 'text/plain', 1, repeat('0', 64), 'directory', 'x', repeat('Muraho ', 140000), now() "
             "from users u, generate_series(1, 12)",
}


@pytest.mark.parametrize("what", LARGE)
def test_an_export_costs_a_worker_little_however_large_things_are(start_stack, database, what):
    """Who reads it slowly could else have a worker hold 40 MiB by each request."""
    if has_sanitizers():
        return          # whose own memory is more than that
    stack = start_stack(**settings(database))
    ada = Person(stack).sign_up()
    database.sql(LARGE[what])
    before = stack.worker.memory()
    connections = [stack.fastcgi() for _ in range(5)]
    for connection in connections:
        connection.send(fcgi.request(fcgi.params_of("GET", "/api/auth/export", HTTP_AUTHORIZATION=f"Bearer {ada.token}")))
    # who has the beginning of it waits for room for more
    parts = [connection.read_stdout(b"\r\n\r\n") for connection in connections][:1]
    each = (stack.worker.memory() - before) / len(connections)
    print(f"{each / 2 ** 20:.1f} MiB an export")
    for connection in connections[1:]:
        connection.close()
    assert each < 8 << 20
    while (record := connections[0].read_record())[0] != fcgi.END_REQUEST:
        parts.append(record[1])
    everything = json.loads(b"".join(parts).partition(b"\r\n\r\n")[2])
    assert len(everything["uploads"]) + sum(len(talk["messages"]) for talk in everything["conversations"]) == 12
