"""The database away: who was signed in goes on, on any worker; what was taken back while it was there stays so."""
import json
import subprocess
import uuid

import pytest

from contract import assert_error
from disturbance import Disturbance
from people import PASSWORD, Person, settings
from stack import wait_until
from worker import CONTROL_PROGRAM, environment

QUESTION = {"messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def make(start_stack, database):
    def make(redis=None, **more):
        redis_settings = {"REDIS_URL": redis.url, "REDIS_TIMEOUT_MS": 30000} if redis else {}
        stack = start_stack(**settings(database, **{"BREAKER_DATABASE": "off", **redis_settings, **more}))
        stack.database = database
        return stack
    return make


def somebody(stack):
    return Person(stack, f"{uuid.uuid4()}@example.org").sign_up()


def use_cold_worker(stack):
    """One that never saw anybody takes the place of all others."""
    for worker in list(stack.workers):
        if worker.alive():
            worker.kill()
    stack.start_worker()
    stack.wait_ready()


def asks(person, key=None):
    """By cookie, by token, by key: who is let in?"""
    exchanges = [person.send("POST", "/api/chat", QUESTION), person.bearer("POST", "/api/chat", QUESTION)]
    if key:
        exchanges.append(person.bearer("GET", "/v1/models", token=key))
    return [exchange.status for exchange in exchanges]


def revocations(stack, root):
    """People, each with what was taken back, and what of it is asked for."""
    out, other, off, keyless, erased = (somebody(stack) for _ in range(5))
    keys = {person: person.make_key()["key"] for person in (off, keyless, erased)}
    again = Person(stack, other.email).sign_in()
    for person in (out, other, off, keyless, erased):
        assert asks(person, keys.get(person)) == [200, 200] + [200] * (person in keys)
    cookie = out.cookie
    assert out.send("POST", "/api/auth/logout").status == 204
    out.cookie = cookie
    assert again.send("POST", "/api/auth/password", {"current": PASSWORD, "new": PASSWORD + "!"}).status == 204
    assert root.bearer("PATCH", f"/api/admin/users/{off.user['id']}", {"disabled": True}).status == 200
    (id,) = [key["id"] for key in keyless.bearer("GET", "/api/auth/keys").json()["keys"]]
    assert keyless.bearer("DELETE", f"/api/auth/keys/{id}").status == 204
    cookie = erased.cookie
    assert erased.bearer("DELETE", "/api/auth/me").status == 204
    erased.cookie = cookie
    return {"signed out": lambda: asks(out), "password changed elsewhere": lambda: asks(other),
            "disabled": lambda: asks(off, keys[off]), "erased": lambda: asks(erased, keys[erased]),
            "key revoked": lambda: [keyless.bearer("GET", "/v1/models", token=keys[keyless]).status]}


def admin(stack):
    root = somebody(stack)
    stack.database.sql(f"update users set role = 'admin' where id = '{root.user['id']}'")
    return root.sign_in()


def assert_refused(taken_back):
    for what, ask in taken_back.items():
        statuses = ask()
        assert all(status in (401, 403, 503) for status in statuses), (what, statuses)


def test_who_is_signed_in_goes_on_with_a_worker_that_never_saw_them(make, redis):
    stack = make(redis)
    ada = somebody(stack)
    key = ada.make_key()["key"]
    assert asks(ada, key) == [200] * 3
    unseen = Person(stack, ada.email).sign_in()
    ada.refresh()
    stack.database.cut_off()
    use_cold_worker(stack)
    assert asks(ada, key) == [200] * 3
    assert asks(unseen) == [200] * 2
    exchange = ada.send("POST", "/api/chat", QUESTION)
    assert exchange.next_event()["bakame"]["queued"] is True
    assert exchange.events()[-1] == "[DONE]"
    assert_error(ada.bearer("GET", "/v1/models", token="bk_" + "x" * 43), "service_unavailable")
    assert_error(ada.bearer("GET", "/api/auth/me", token=ada.token[:-2] + "xx"), "unauthorized")


def test_what_was_taken_back_is_refused_before_and_while_it_is_away(make, redis, monkeypatch):
    stack = make(redis, RATE_LIMIT_USER="5000/60")
    root = admin(stack)
    taken_back = revocations(stack, root)
    assert_refused(taken_back)
    stack.database.cut_off()
    assert_refused(taken_back)
    use_cold_worker(stack)
    assert_refused(taken_back)
    # another host, which shares Redis only
    assert asks(root) == [200] * 2
    elsewhere = make(redis)
    monkeypatch.setattr(stack, "front", elsewhere.front)
    assert asks(root) == [200] * 2
    assert_refused(taken_back)


def test_without_redis_a_host_knows_its_own_people_and_changes(make):
    stack = make(RATE_LIMIT_USER="5000/60")
    ada = somebody(stack)
    key = ada.make_key()["key"]
    assert asks(ada, key) == [200] * 3
    taken_back = revocations(stack, admin(stack))
    stack.database.cut_off()
    assert asks(ada, key) == [200] * 3
    assert_refused(taken_back)
    use_cold_worker(stack)
    assert asks(ada) == [200] * 2
    assert_refused(taken_back)


def test_redis_away_when_something_is_taken_back_brings_nothing_back(make, redis):
    stack = make(redis, BREAKER_REDIS="off", REDIS_TIMEOUT_MS=1000)
    ada, eve = somebody(stack), somebody(stack)
    # each of their tokens and cookies is known to Redis
    wait_until(lambda: asks(ada) == asks(eve) == [200] * 2 and len(redis.command("KEYS", "bakame:who:*")) == 4)
    redis.freeze()
    assert eve.send("POST", "/api/auth/logout").status == 204
    redis.thaw()
    stack.database.cut_off()
    use_cold_worker(stack)
    wait_until(lambda: asks(ada) == [200] * 2)
    assert eve.bearer("POST", "/api/chat", QUESTION).status == 503


def test_what_the_operator_takes_back_is_refused_too(make, redis):
    stack = make(redis)
    ada, eve = somebody(stack), somebody(stack)
    taken_back = {"disable": lambda: asks(ada), "passwd": lambda: asks(eve)}
    for person, verb in ((ada, "disable"), (eve, "passwd")):
        assert asks(person) == [200] * 2
        env = environment(BAKAME_ENV="development", DATABASE_URL=stack.database.url, REDIS_URL=redis.url,
                          SHM_NAME=stack.shm_name)
        done = subprocess.run([str(CONTROL_PROGRAM), "user", verb, person.email], env=env, input=PASSWORD + "\n",
                              text=True, capture_output=True, timeout=180)
        assert done.returncode == 0, done.stderr
    stack.database.cut_off()
    assert_refused(taken_back)
    use_cold_worker(stack)
    assert_refused(taken_back)


def test_redis_holds_nothing_that_can_be_used(make, redis):
    stack = make(redis, AUTH_STALE_SECS=1800)
    ada, eve = somebody(stack), somebody(stack)
    key = ada.make_key()["key"]
    assert asks(ada, key) == [200] * 3 and asks(eve) == [200] * 2
    names = redis.command("KEYS", "bakame:who:*")
    assert len(names) == 5
    held = b" ".join(names + [redis.command("GET", name) for name in names])
    for secret in (ada.token, ada.cookie, key, ada.email, ada.user["id"], json.dumps(ada.user["id"])):
        assert secret.encode() not in held
    assert all(0 < redis.command("TTL", name) <= 1800 for name in names)
    # what is kept of one token says nothing of another, and what was changed says nothing at all
    values = [redis.command("GET", name) for name in names]
    for name, value in zip(names, values[1:] + values[:1]):
        redis.command("SET", name, value)
    stack.database.cut_off()
    use_cold_worker(stack)
    assert asks(ada, key) == [503] * 3 and asks(eve) == [503] * 2
    for name, value in zip(names, values):
        redis.command("SET", name, value[:-1] + bytes([value[-1] ^ 1]))
    assert asks(ada, key) == [503] * 3
    for name, value in zip(names, values):
        redis.command("SET", name, value)
    assert asks(ada, key) == [200] * 3 and asks(eve) == [200] * 2


def test_it_can_be_turned_off(make, redis):
    stack = make(redis, AUTH_STALE_SECS=0)
    ada = somebody(stack)
    assert asks(ada) == [200] * 2
    assert redis.command("KEYS", "bakame:who:*") == []
    stack.database.cut_off()
    use_cold_worker(stack)
    assert asks(ada) == [503] * 2


@pytest.fixture
def hanging(cluster):
    """The address of a database that takes connections, and goes on with none."""
    relay = Disturbance("127.0.0.1", cluster.port)
    relay.behave("hang")
    yield relay
    relay.stop()


def test_a_worker_that_ends_while_it_connects_leaves_nothing(hanging, start_stack, cluster, database):
    """What it leaves, a build with sanitizers tells: Worker.finish(), after this."""
    url = database.url.replace(f":{cluster.port}/", f":{hanging.port}/")
    stack = start_stack(**settings(database, DATABASE_URL=url, DATABASE_TIMEOUT_MS=100))
    exchange = stack.post("/api/auth/login", {"email": "ada@example.org", "password": PASSWORD})
    assert_error(exchange, "service_unavailable")
