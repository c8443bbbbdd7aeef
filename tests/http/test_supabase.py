"""Tokens of Supabase: those that count, and all the ways in which one may not."""
import time

import pytest

from contract import assert_error
from stack import Stack, wait_until
from tokens import ADA, SECRET, Key, KeyServer, b64, claims, hs256, part

BEA = "22222222-2222-4222-8222-222222222222"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    return {name: Key(directory, alg, name) for name, alg in (("rsa", "RS256"), ("ec", "ES256"), ("stranger", "ES256"))}


@pytest.fixture
def key_server(keys):
    server = KeyServer(keys["rsa"], keys["ec"])
    yield server
    server.close()


@pytest.fixture(scope="module")
def by_secret(tmp_path_factory, model):
    """Without a database: whoever has a good token is known by it alone."""
    stack = Stack(tmp_path_factory.mktemp("stack"), model, SUPABASE_JWT_SECRET=SECRET)
    yield stack
    stack.close()


@pytest.fixture
def by_keys(start_stack, key_server):
    return start_stack(SUPABASE_JWKS_URL=key_server.url)


def ask(stack, token, path="/v1/models"):
    return stack.get(path, Authorization=f"Bearer {token}")


def refuse(stack, token, kind="unauthorized"):
    return assert_error(ask(stack, token), kind)


def test_a_good_token_counts(by_secret):
    assert ask(by_secret, hs256()).status == 200
    assert ask(by_secret, hs256(claims(aud=["x", "authenticated"]))).status == 200
    assert ask(by_secret, hs256(claims(nbf=int(time.time()) - 5))).status == 200
    (line,) = [line for line in by_secret.log_lines(ask(by_secret, hs256()).header("X-Request-Id"))]
    assert line["user_id"] == ADA


@pytest.mark.parametrize("changes, words", [
    ({"exp": 1}, "expired"),
    ({"exp": -60}, "expired"),
    ({"nbf": 3600}, "not valid yet"),
    ({"aud": "anon"}, "aud"),
    ({"aud": None}, "aud"),
    ({"exp": None}, "not valid"),
    ({"exp": "tomorrow"}, "not valid"),
    ({"sub": None}, "sub"),
    ({"sub": "' or '1'='1"}, "sub"),
    ({"sub": 7}, "sub"),
    ({"role": "service_role"}, "role"),
    ({"role": "anon"}, "role"),
])
def test_claims_that_do_not_count(by_secret, changes, words):
    """Times are from now on, but for 1."""
    body = claims(**{name: int(time.time()) + value if name in ("exp", "nbf") and isinstance(value, int) and value != 1
                     else value for name, value in changes.items()})
    assert words in refuse(by_secret, hs256(body))


# By name, for they are made anew in each process.
FORGED = {
    "another secret": lambda: hs256(secret="another-secret-that-is-just-as-long-as-the-right-one"),
    "alg none, signed": lambda: hs256(header={"alg": "none"}),
    "alg HS512": lambda: hs256(header={"alg": "HS512"}),
    "alg hs256": lambda: hs256(header={"alg": "hs256"}),
    "crit": lambda: hs256(header={"alg": "HS256", "crit": ["exp"]}),
    "alg none": lambda: part({"alg": "none"}) + "." + part(claims()) + ".",
    "alg none, 32 bytes": lambda: part({"alg": "none", "typ": "JWT"}) + "." + part(claims()) + "." + b64(b"x" * 32),
    "a character short": lambda: hs256()[:-1],
    "ten characters short": lambda: hs256()[:-10],
    "no signature": lambda: hs256().rpartition(".")[0],
    "a character more": lambda: hs256() + "A",
    "a part more": lambda: hs256() + ".x",
    "another's claims": lambda: ".".join([hs256().split(".")[0], part(claims(sub=BEA)), hs256().split(".")[2]]),
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_and_broken_tokens(by_secret, name):
    refuse(by_secret, FORGED[name]())


@pytest.mark.parametrize("size", [17000, 1 << 20])
def test_long_tokens_are_refused_by_somebody(by_secret, size):
    """NGINX does; by the worker's own socket the worker does."""
    for token in ("x" * size, hs256(claims(padding="x" * size))):
        assert ask(by_secret, token).status in (400, 401)
        with by_secret.fastcgi() as connection:
            assert connection.ask("GET", "/v1/models", HTTP_AUTHORIZATION=f"Bearer {token}").status == 401
    by_secret.assert_serves()


def test_public_keys_prove_tokens(by_keys, keys, key_server):
    for name in ("rsa", "ec"):
        assert ask(by_keys, keys[name].token()).status == 200
        assert ask(by_keys, keys[name].token()).status == 200
    assert key_server.asked == 1


def test_confusion_of_algorithms_is_refused(by_keys, keys):
    rsa, ec = keys["rsa"], keys["ec"]
    assert ask(by_keys, rsa.token()).status == 200
    for secret in (rsa.public_pem, rsa.public_pem.strip(), rsa.jwk()["n"]):
        for kid in ("rsa", "ec", None):
            header = {"alg": "HS256", **({"kid": kid} if kid else {})}
            refuse(by_keys, hs256(secret=secret, header=header))
    refuse(by_keys, rsa.token(header={"alg": "ES256", "kid": "rsa"}))
    refuse(by_keys, rsa.token(header={"alg": "RS256", "kid": "ec"}))
    refuse(by_keys, ec.token(header={"alg": "RS256", "kid": "ec"}))
    refuse(by_keys, ec.token(header={"alg": "none", "kid": "ec"}))
    refuse(by_keys, hs256())                       # no secret is configured


def test_keys_do_not_open_where_a_secret_does(by_secret, keys):
    refuse(by_secret, keys["rsa"].token())
    refuse(by_secret, keys["ec"].token())


def test_a_new_key_is_fetched_when_a_token_names_it_and_no_more_than_once_a_minute(by_keys, keys, key_server):
    refuse(by_keys, keys["stranger"].token())
    assert key_server.asked == 1
    for _ in range(5):
        refuse(by_keys, keys["stranger"].token())
    assert key_server.asked == 1
    assert ask(by_keys, keys["ec"].token()).status == 200


def test_keys_that_cannot_be_had_are_no_fault_of_the_token(start_stack, keys, key_server):
    key_server.mode = "fail"
    stack = start_stack(SUPABASE_JWKS_URL=key_server.url)
    exchange = ask(stack, keys["ec"].token())
    assert_error(exchange, "service_unavailable")
    assert int(exchange.header("Retry-After")) >= 1
    assert ask(stack, "nonsense").status == 401
    key_server.mode = "serve"
    wait_until(lambda: ask(stack, keys["ec"].token()).status == 200, what="the keys")


def test_a_key_server_that_hangs_holds_up_nobody_else(start_stack, keys, key_server):
    key_server.mode = "hang"
    stack = start_stack(SUPABASE_JWKS_URL=key_server.url)
    waiting = [ask(stack, keys["ec"].token()) for _ in range(3)]
    wait_until(lambda: key_server.asked, what="a fetch")
    for _ in range(3):
        stack.assert_serves()
        assert ask(stack, "nonsense").status == 401
    for exchange in waiting:
        assert_error(exchange, "service_unavailable")
    assert key_server.asked == 1


def test_the_project_has_to_be_the_issuer(start_stack):
    stack = start_stack(SUPABASE_JWT_SECRET=SECRET, NEXT_PUBLIC_SUPABASE_URL="https://ours.supabase.co")
    assert ask(stack, hs256(claims(iss="https://ours.supabase.co/auth/v1"))).status == 200
    assert "issuer" in refuse(stack, hs256(claims(iss="https://theirs.supabase.co/auth/v1")))
    assert "issuer" in refuse(stack, hs256())


def with_database(start_stack, database, **settings):
    return start_stack(AUTH_MODE="supabase", SUPABASE_JWT_SECRET=SECRET, DATABASE_URL=database.url,
                       DATABASE_TIMEOUT_MS=60000, **settings)


def test_people_become_known_at_their_first_visit(start_stack, database):
    stack = with_database(start_stack, database)
    token = hs256(claims(user_metadata={"full_name": "Ada L."}))
    me = ask(stack, token, "/api/auth/me").json()["user"]
    assert (me["id"], me["email"], me["name"], me["role"]) == (ADA, "ada@example.org", "Ada L.", "user")
    assert ask(stack, hs256(claims(email="ada@example.com")), "/api/auth/me").json()["user"]["email"] == "ada@example.com"
    assert ask(stack, hs256(claims(sub=BEA, email=None)), "/api/auth/me").json()["user"]["email"] == ""
    assert database.sql("select count(*) from users") == "2"


def test_what_we_say_of_them_counts(start_stack, database):
    stack = with_database(start_stack, database, RATE_LIMIT_USER="100/60")
    database.sql(f"insert into users (id, email, rate_limit) values ('{ADA}', 'ada@example.org', 2)")
    database.sql(f"insert into users (id, email, disabled) values ('{BEA}', 'bea@example.org', true)")
    assert "disabled" in refuse(stack, hs256(claims(sub=BEA, email="bea@example.org")), "forbidden")
    assert ask(stack, hs256()).header("X-RateLimit-Limit") == "2"


def test_signing_in_is_supabases(start_stack, database):
    stack = with_database(start_stack, database)
    for path in ("signup", "login", "logout", "refresh", "password"):
        exchange = stack.request("POST", f"/api/auth/{path}", "{}", {
            "Content-Type": "application/json", **({"Authorization": f"Bearer {hs256()}"} if path == "password" else {})})
        assert_error(exchange, "not_found")
    # our own cookie means nothing here
    assert stack.get("/v1/models", Cookie="bakame_session=x").status == 200


def test_keys_and_erasure_work_for_them_too(start_stack, database):
    stack = with_database(start_stack, database)
    bearer = {"Authorization": f"Bearer {hs256()}"}
    made = stack.request("POST", "/api/auth/keys", '{"name":"n"}', {"Content-Type": "application/json", **bearer})
    assert made.status == 201
    assert ask(stack, made.json()["key"]).status == 200
    assert stack.get("/api/auth/export", **bearer).json()["user"]["id"] == ADA
    assert stack.request("DELETE", "/api/auth/me", headers=bearer).status == 204
    assert database.sql("select count(*) from users") == "0"


def test_the_database_away_is_no_reason_to_refuse_a_good_token(start_stack, database):
    stack = with_database(start_stack, database)
    database.cut_off()
    assert ask(stack, hs256()).status == 200
    refuse(stack, hs256(claims(exp=1)))
    assert_error(ask(stack, hs256(), "/api/auth/me"), "service_unavailable")
