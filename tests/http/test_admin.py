"""Administrators: people, usage, budgets, services, and the log of what was changed."""
import json
import signal
import threading
import time
import uuid

import pytest

import script as mock
from contract import assert_error
from jobs import JOBS_PROGRAM, Queue
from people import Person, settings
from redis_server import RedisServer
from stack import MODEL, Stack, chat_body, wait_until

NOBODYS = "11111111-2222-4333-8444-555555555555"


def somebody(stack, role="user"):
    person = Person(stack, f"{uuid.uuid4()}@example.org").sign_up()
    if role == "admin":
        stack.database.sql(f"update users set role = 'admin' where id = '{person.user['id']}'")
        person.sign_in()
    return person


def start(make, database, **more):
    stack = make(**settings(database, **{"RATE_LIMIT_USER": "5000/60", **more}))
    stack.database = database
    return stack


@pytest.fixture(scope="module")
def house(tmp_path_factory, model, cluster):
    stack = start(lambda **options: Stack(tmp_path_factory.mktemp("stack"), model, workers=2, **options),
                  cluster.new_database())
    stack.root = somebody(stack, "admin")
    yield stack
    stack.close()


ROUTES = [("GET", "/api/admin/users"), ("PATCH", f"/api/admin/users/{NOBODYS}"), ("GET", "/api/admin/usage"),
          ("GET", "/api/admin/audit"), ("GET", "/api/admin/services"), ("POST", "/api/admin/services/redis/reset")]


@pytest.mark.parametrize("method, path", ROUTES)
def test_others_are_kept_out(house, method, path):
    body = json.dumps({"role": "admin"}) if method == "PATCH" else None
    headers = {"Content-Type": "application/json"}
    assert_error(house.request(method, path, body, headers), "unauthorized")
    assert_error(somebody(house).bearer(method, path, {"role": "admin"} if body else None), "forbidden")


def listed(person, **query):
    exchange = person.bearer("GET", "/api/admin/users?" + "&".join(f"{name}={value}" for name, value in query.items()))
    assert exchange.status == 200, exchange.read()
    return exchange.json()


def change(house, person, members):
    return house.root.bearer("PATCH", f"/api/admin/users/{person.user['id']}", members)


def test_people_are_listed_in_pages_and_found(house):
    people = [somebody(house) for _ in range(3)]
    seen, cursor = [], ""
    while cursor is not None:
        page = listed(house.root, limit=2, cursor=cursor)
        seen += [user["id"] for user in page["users"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == int(house.database.sql("select count(*) from users"))
    (found,) = listed(house.root, q=people[0].email[:20].upper())["users"]
    assert found["id"] == people[0].user["id"] and found["role"] == "user" and found["disabled"] is False
    assert found["rate_limit"] is None and found["tokens_per_day"] is None
    for wanted in ("%25", "_____", "'%20or%201=1", "%5C"):
        assert listed(house.root, q=wanted)["users"] == []
    for bad in ("cursor=x", "limit=0", "limit=999", "q=" + "x" * 201):
        assert_error(house.root.bearer("GET", "/api/admin/users?" + bad), "invalid_request")


def test_changes_hold_at_once_and_are_logged(house):
    ada = somebody(house)
    exchange = change(house, ada, {"disabled": True})
    assert exchange.json()["disabled"] is True
    assert_error(ada.bearer("GET", "/api/auth/me"), "forbidden")
    assert change(house, ada, {"disabled": False, "rate_limit": 7, "tokens_per_day": 5000}).json()["rate_limit"] == "7/60"
    assert ada.sign_in() and ada.bearer("GET", "/api/auth/me").status == 200
    assert change(house, ada, {"rate_limit": "9/60"}).json()["rate_limit"] == "9/60"
    assert change(house, ada, {"rate_limit": None, "tokens_per_day": None}).json()["rate_limit"] is None
    assert change(house, ada, {"role": "admin"}).json()["role"] == "admin"
    ada.sign_in()
    assert listed(ada)["users"]
    entries = house.root.bearer("GET", "/api/admin/audit?limit=5").json()["entries"]
    assert [entry["action"] for entry in entries] == ["user.changed"] * 5
    assert all(entry["target"] == ada.user["id"] and entry["actor"] == house.root.email for entry in entries)
    assert entries[0]["details"] == {"email": ada.email, "role": "admin"}
    assert entries[1]["details"] == {"email": ada.email, "rate_limit": None, "tokens_per_day": None}
    assert entries[4]["details"]["disabled"] is True
    assert entries[0]["remote_addr"] and entries[0]["request_id"]
    change(house, ada, {"role": "user"})


def test_a_limit_of_ones_own_holds_where_others_have_none(start_stack, database):
    stack = start(start_stack, database, RATE_LIMIT_USER="off")
    stack.root, ada = somebody(stack, "admin"), somebody(stack)
    assert change(stack, ada, {"rate_limit": "3/60"}).json()["rate_limit"] == "3/60"
    assert_error(change(stack, ada, {"rate_limit": "3/61"}), "invalid_request")
    assert [ada.me().status for _ in range(5)].count(429) == 2
    assert change(stack, ada, {"rate_limit": None}).json()["rate_limit"] is None
    assert ada.me().status == 200


def test_the_log_comes_in_pages(house):
    ada = somebody(house)
    for n in range(1, 6):
        change(house, ada, {"rate_limit": n})
    seen, cursor = [], ""
    while cursor is not None and len(seen) < 100:
        page = house.root.bearer("GET", f"/api/admin/audit?limit=2&cursor={cursor}").json()
        seen += page["entries"]
        cursor = page["next_cursor"]
    ids = [int(entry["id"]) for entry in seen]
    assert ids == sorted(set(ids), reverse=True)
    assert [entry["details"]["rate_limit"] for entry in seen[:5]] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("members", [
    {}, {"role": "root"}, {"role": 1}, {"role": None}, {"disabled": "yes"}, {"rate_limit": 0}, {"rate_limit": -1},
    {"rate_limit": 10001}, {"rate_limit": "x"}, {"rate_limit": "5/61"}, {"rate_limit": "5/"}, {"rate_limit": []},
    {"rate_limit": "5/60; drop table users"}, {"tokens_per_day": -1}, {"tokens_per_day": "x"}, {"tokens_per_day": 1.5}])
def test_changes_without_sense_are_refused(house, members):
    assert_error(house.root.bearer("PATCH", f"/api/admin/users/{house.root.user['id']}", members), "invalid_request")


def test_nobody_is_changed_who_is_not_there(house):
    for id in (NOBODYS, "x", "'%20or%201=1"):
        assert_error(house.root.bearer("PATCH", f"/api/admin/users/{id}", {"role": "admin"}), "not_found")


def test_the_last_administrator_stays_whoever_else_goes(start_stack, database):
    stack = start(start_stack, database, workers=2)
    stack.root = somebody(stack, "admin")
    for members in ({"role": "user"}, {"disabled": True}):
        assert_error(change(stack, stack.root, members), "conflict")
    for _ in range(5):
        other = somebody(stack, "admin")
        both = [threading.Thread(target=lambda one=one, by=by: by.bearer(
            "PATCH", f"/api/admin/users/{one.user['id']}", {"role": "user"}).read())
            for one, by in ((stack.root, stack.root), (other, other))]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        admins = database.rows("select id from users where role = 'admin' and not disabled")
        assert len(admins) == 1
        stack.root = stack.root if admins[0][0] == stack.root.user["id"] else other


# ---- usage ----

def usage(person, **query):
    exchange = person.bearer("GET", "/api/admin/usage?" + "&".join(f"{name}={value}" for name, value in query.items()))
    assert exchange.status == 200, exchange.read()
    return exchange.json()


def test_usage_is_summed_by_person_and_hour(start_stack, database, model):
    stack = start(start_stack, database, workers=2)
    root, ada = somebody(stack, "admin"), somebody(stack)
    key = ada.make_key()["key"]
    for _ in range(3):
        script = model.script(mock.reply(usage={"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}))
        ada.bearer("POST", "/api/chat", chat_body(script)).events()
    ada.bearer("POST", "/v1/chat/completions", chat_body(model.script(mock.reply(usage={"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150})), model=MODEL), token=key).read()
    stack.chat(model.script(mock.reply(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}))).events()
    bad = model.script(*[mock.status(500)] * 3)
    ada.bearer("POST", "/api/chat", chat_body(bad)).read()

    def told():
        answer = usage(root, bucket="hour")
        return answer if sum(row["requests"] for row in answer["usage"]) == 6 else None
    answer = wait_until(told)
    total = {name: sum(row[name] for row in answer["usage"]) for name in
             ("requests", "prompt_tokens", "completion_tokens", "tool_calls", "errors")}
    assert total == {"requests": 6, "prompt_tokens": 131, "completion_tokens": 67, "tool_calls": 0, "errors": 1}
    people = {row["email"]: row for row in answer["users"]}
    assert people[ada.email]["requests"] == 5 and people[ada.email]["prompt_tokens"] == 130
    assert people[None]["requests"] == 1
    assert len(usage(root, bucket="day")["usage"]) in (1, 2)
    assert usage(root, **{"from": "2020-01-01", "to": "2020-02-01"})["usage"] == []
    for bad in ("bucket=week", "from=yesterday-ish", "to='%20or%201=1"):
        assert_error(root.bearer("GET", "/api/admin/usage?" + bad), "invalid_request")


def test_usage_has_the_days_of_utc_whatever_the_databases_zone(start_stack, database):
    database.sql(f"alter database {database.name} set timezone = 'Africa/Kigali'")
    stack = start(start_stack, database)
    root = somebody(stack, "admin")
    database.sql("insert into usage_hourly (hour, requests) values ('2026-01-30T23:00Z', 1), ('2026-01-31T00:00Z', 2), "
                 "('2026-01-31T23:00Z', 4), ('2026-02-01T00:00Z', 8)")
    found = usage(root, **{"from": "2026-01-31", "to": "2026-02-01"})
    assert [(row["at"], row["requests"]) for row in found["usage"]] == [("2026-01-31T00:00:00Z", 6)]
    assert [row["requests"] for row in found["users"]] == [6]


def test_usage_is_written_when_a_worker_ends_and_kept_while_the_database_is_away(start_stack, database, model):
    stack = start(start_stack, database, workers=1, DRAIN_SECONDS=600)
    database.cut_off()
    stack.chat(model.script(mock.reply(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}))).events()
    database.let_in()
    stack.worker.signal(signal.SIGTERM)
    wait_until(lambda: not stack.worker.alive())
    assert database.rows("select requests, prompt_tokens, completion_tokens from usage_hourly") == [["1", "1", "2"]]


def test_a_killed_worker_takes_no_usage_along(start_stack, database, model):
    """What it counted, and what it was writing, is written by the next one: once."""
    stack = start(start_stack, database, workers=1)
    database.cut_off()
    for _ in range(3):
        stack.chat(model.script(mock.reply(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}))).events()
    stack.worker.kill()
    database.let_in()
    for _ in range(4):      # each may have written it and not said so
        stack.start_worker()
        stack.wait_ready()
        stack.workers[-1].kill()
    stack.start_worker()
    stack.wait_ready()
    wait_until(lambda: database.rows("select sum(requests), sum(prompt_tokens) from usage_hourly") == [["3", "3"]])
    stack.workers[-1].signal(signal.SIGTERM)
    wait_until(lambda: not stack.workers[-1].alive())
    assert database.rows("select sum(requests), sum(prompt_tokens), sum(completion_tokens) from usage_hourly") == [["3", "3", "6"]]


# ---- budgets ----

DAY_SECONDS, TEST_SECONDS = 86400, 100


@pytest.fixture
def one_day():
    """A budget is new at midnight (UTC): not in the middle of a test."""
    left = DAY_SECONDS - time.time() % DAY_SECONDS
    if left < TEST_SECONDS:
        time.sleep(left + 1)


def budget_rows(database):
    return database.rows("select used, reserved from token_days")


@pytest.mark.usefixtures("one_day")
def test_a_budget_is_settled_by_what_was_used_and_ends(start_stack, database, model):
    stack = start(start_stack, database, TOKENS_PER_DAY=3000)
    ada = somebody(stack)
    ada.bearer("POST", "/api/chat", chat_body(model.script(mock.reply(usage={"prompt_tokens": 900, "completion_tokens": 600, "total_tokens": 1500})), max_tokens=1000)).events()
    wait_until(lambda: budget_rows(database) == [["1500", "0"]])
    exchange = ada.bearer("POST", "/api/chat", chat_body("Hello", max_tokens=2000))
    message = assert_error(exchange, "rate_limit_exceeded")
    assert "3000 tokens" in message and 1 <= int(exchange.header("Retry-After")) <= 86400
    assert ada.bearer("POST", "/api/chat", chat_body("Hello", max_tokens=500)).status == 200
    key = ada.make_key()["key"]
    assert_error(ada.bearer("POST", "/v1/chat/completions", chat_body("x", model=MODEL, max_tokens=2000), token=key),
                 "rate_limit_exceeded")
    assert stack.chat("a guest has none").status == 200
    assert database.sql("select count(*) from conversations") == "2"


@pytest.mark.usefixtures("one_day")
def test_a_model_that_tells_no_usage_uses_up_a_budget_too(start_stack, database, model):
    """About a token a chunk, in each round of which it told none."""
    stack = start(start_stack, database, TOKENS_PER_DAY=3000)
    ada = somebody(stack)
    words = mock.stream(*[mock.text("x")] * 50)
    exchange = ada.bearer("POST", "/api/chat", chat_body(model.script(words), max_tokens=100))
    assert exchange.events()[-1] == "[DONE]"
    wait_until(lambda: budget_rows(database)[0][1] == "0")
    assert 50 < int(budget_rows(database)[0][0]) < 2000
    call = mock.reply(tool_calls=[{"id": "call_1", "name": "weather", "arguments": "{}"}], usage={
        "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110})
    before = int(budget_rows(database)[0][0])
    ada.bearer("POST", "/api/chat", chat_body(model.script(call, words), max_tokens=100)).read()
    wait_until(lambda: budget_rows(database)[0][1] == "0" and int(budget_rows(database)[0][0]) > before)
    assert int(budget_rows(database)[0][0]) - before > 160


@pytest.mark.usefixtures("one_day")
def test_budgets_hold_for_calls_at_the_same_time(start_stack, database, model):
    stack = start(start_stack, database, workers=2, TOKENS_PER_DAY=5000)
    ada = somebody(stack)
    script = model.script(*[mock.stream(mock.text("x"), mock.gate("go"), mock.event(
        '{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[],'
        '"usage":{"prompt_tokens":500,"completion_tokens":500,"total_tokens":1000}}'))] * 8)
    exchanges = [ada.bearer("POST", "/api/chat", chat_body(script, max_tokens=1000)) for _ in range(8)]
    statuses = sorted(exchange.status for exchange in exchanges)
    assert statuses == [200] * 4 + [429] * 4
    used, reserved = budget_rows(database)[0]
    assert used == "0" and 4000 <= int(reserved) <= 5000
    script.open("go")
    for exchange in exchanges:
        exchange.read()
    wait_until(lambda: budget_rows(database) == [["4000", "0"]])


@pytest.mark.usefixtures("one_day")
def test_what_a_killed_worker_reserved_is_given_back(start_stack, database, model):
    stack = start(start_stack, database, workers=1, TOKENS_PER_DAY=2000)
    ada = somebody(stack)
    exchange = ada.bearer("POST", "/api/chat", chat_body(model.script(mock.stream(mock.text("x"), mock.HANG)), max_tokens=1500))
    assert exchange.next_text() == "x"
    stack.worker.kill()
    stack.start_worker()
    assert_error(ada.bearer("POST", "/api/chat", chat_body("Hello", max_tokens=1500)), "rate_limit_exceeded")
    database.sql("update token_reservations set created_at = now() - interval '1 hour'")
    assert ada.bearer("POST", "/api/chat", chat_body("Hello", max_tokens=1500)).status == 200


@pytest.mark.usefixtures("one_day")
def test_what_is_used_while_the_database_is_away_is_charged_once(start_stack, database, model, tmp_path):
    """Of a call that reserved before, and of one that could not."""
    redis = RedisServer(tmp_path / "redis")
    try:
        stack = start(start_stack, database, TOKENS_PER_DAY=5000, REDIS_URL=redis.url, REDIS_TIMEOUT_MS=60000,
                      BREAKER_DATABASE="off")
        ada = somebody(stack)
        usage = mock.event('{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[],'
                           '"usage":{"prompt_tokens":500,"completion_tokens":500,"total_tokens":1000}}')
        script = model.script(*[mock.stream(mock.text("x"), mock.gate("go"), usage)] * 2)
        first = ada.bearer("POST", "/api/chat", chat_body(script, max_tokens=1000))
        assert first.next_text() == "x"
        database.cut_off()
        second = ada.bearer("POST", "/api/chat", chat_body(script, max_tokens=1000))
        assert second.next_text() == "x"
        script.open("go")
        first.read(), second.read()
        database.let_in()
        # the first one's reservation was given back meanwhile
        database.sql("update token_reservations set created_at = now() - interval '1 hour'")
        queue = Queue(tmp_path, redis, DATABASE_URL=database.url)
        queue.start(program=JOBS_PROGRAM)
        wait_until(lambda: budget_rows(database) == [["2000", "0"]])
        queue.close()
        assert budget_rows(database) == [["2000", "0"]]
        assert_error(ada.bearer("POST", "/api/chat", chat_body("x", max_tokens=3500)), "rate_limit_exceeded")
    finally:
        redis.stop()


@pytest.mark.usefixtures("one_day")
def test_a_call_is_settled_once_though_it_was_given_back(database):
    who, call = (str(uuid.uuid4()) for _ in range(2))
    database.sql(f"insert into users (id, email) values ('{who}', 'a@example.org')")
    reserve = f"select reserve_tokens('{{}}', '{who}', 1000, 1500, {{}})"
    settle = f"select settle_tokens('{{}}', '{who}', (now() at time zone 'UTC')::date, {{}})"
    assert database.sql(reserve.format(call, 60)) == "t"
    database.sql("update token_reservations set created_at = now() - interval '1 hour'")
    assert database.sql(reserve.format(uuid.uuid4(), 60)) == "t"
    assert budget_rows(database) == [["0", "1000"]]
    for _ in range(2):
        database.sql(settle.format(call, 700))
        assert budget_rows(database) == [["700", "1000"]]
    never = uuid.uuid4()
    for _ in range(2):
        database.sql(settle.format(never, 50))
        assert budget_rows(database) == [["750", "1000"]]
    database.sql(f"delete from users where id = '{who}'; {settle.format(uuid.uuid4(), 50)}")


@pytest.mark.usefixtures("one_day")
def test_who_leaves_pays_for_what_was_said(start_stack, database, model):
    stack = start(start_stack, database, TOKENS_PER_DAY=100_000)
    ada = somebody(stack)
    exchange = ada.bearer("POST", "/api/chat", chat_body(model.script(
        mock.stream(mock.repeat(50, mock.text("x ")), mock.HANG, finish=False)), max_tokens=1000))
    for _ in range(50):
        exchange.next_text()
    exchange.leave()
    used, reserved = wait_until(lambda: (lambda row: row if row[1] == "0" else None)(budget_rows(database)[0]))
    assert 50 <= int(used) <= 2000


@pytest.mark.usefixtures("one_day")
def test_a_budget_of_ones_own_comes_first(start_stack, database):
    stack = start(start_stack, database, TOKENS_PER_DAY=10)
    stack.root = somebody(stack, "admin")
    ada = somebody(stack)
    assert_error(ada.bearer("POST", "/api/chat", chat_body("Hello")), "rate_limit_exceeded")
    change(stack, ada, {"tokens_per_day": 100_000})
    assert ada.bearer("POST", "/api/chat", chat_body("Hello")).status == 200
    change(stack, ada, {"tokens_per_day": 0})
    assert ada.bearer("POST", "/api/chat", chat_body("Hello")).status == 200


# ---- services ----

def test_services_are_told_and_reset(house):
    answer = house.root.bearer("GET", "/api/admin/services").json()
    names = [service["name"] for service in answer["services"]]
    assert "weather" in names, names
    assert answer["redis"]["configured"] is False, answer["redis"]
    assert house.root.bearer("POST", "/api/admin/services/weather/reset").status == 204
    assert_error(house.root.bearer("POST", "/api/admin/services/nothing/reset"), "not_found")
    entry = house.root.bearer("GET", "/api/admin/audit?limit=1").json()["entries"][0]
    assert entry["action"] == "service.reset" and entry["target"] == "weather"
