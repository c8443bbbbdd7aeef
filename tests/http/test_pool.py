"""The pool of connections to PostgreSQL: what it survives, and that nothing of one transaction reaches another."""
import json

import pytest

from pool_driver import Driver
from postgres import LOCK, Pooler, psql
from stack import at_best, took, wait_until
from wire import Wire

ADA = "11111111-1111-4111-8111-111111111111"
BEA = "22222222-2222-4222-8222-222222222222"


@pytest.fixture(params=["direct", "pgbouncer"])
def way(request, database):
    """A URL of the database: straight to it, or by a transaction pooler."""
    if request.param == "direct":
        yield database.url
    else:
        pooler = Pooler(database)
        yield pooler.url + "?pgbouncer=true&connection_limit=1"
        pooler.close()


@pytest.fixture
def drive(request):
    drivers = []

    def start(url, **options):
        drivers.append(Driver(url, **options))
        return drivers[-1]
    yield start
    for driver in drivers:
        driver.close()


@pytest.fixture
def table(database):
    database.sql("create table bakame.t (n int unique, check (n < 1000)); grant all on bakame.t to service_role, authenticated")
    return database


def numbers(database):
    return database.sql("select coalesce(string_agg(n::text, ' ' order by n), '') from bakame.t")


def test_each_transaction_is_somebody_and_leaves_nothing_behind(way, drive):
    driver = drive(way, pool=1)
    who = "select concat_ws(' ', current_user, current_setting('request.jwt.claims', true), bakame.uid())"
    for _ in range(3):
        role, claims, *rest = driver.value(who, role="user", user=ADA).split(" ")
        assert (role, json.loads(claims), rest) == ("authenticated", {"sub": ADA, "role": "authenticated"}, [ADA])
        assert driver.value(who, role="anon").startswith("anon ")
        assert driver.value(who).startswith("service_role ")
        assert driver.value("select current_setting('search_path')") == "bakame"
    assert driver.ask("select 1", role="user", user="no uuid")["error"] == "internal_error"
    assert driver.ask("select 1", role="user", user="1' or '1'='1-aaaaaaaaaaaaaaaaaaaaaaaa")["error"] == "internal_error"


def test_settings_of_a_transaction_end_with_it(database, drive):
    pooler = Pooler(database, size=1)           # so that the next client has the same connection
    driver = drive(pooler.url, pool=1)
    driver.value("select 1", role="user", user=ADA, read_only=True, timeout_ms=1234)
    kept = database.cluster.url(database.name, port=pooler.port)
    for name in ("role", "request.jwt.claims", "search_path", "statement_timeout", "transaction_read_only"):
        value = psql(kept, f"select current_setting('{name}', true)").strip()
        assert value in ("none", "", '"$user", public', "0", "off"), (name, value)
    pooler.close()


def test_all_of_a_transaction_happens_or_nothing(way, drive, table):
    driver = drive(way)
    answer = driver.ask("insert into t values (1)", "insert into t values (2)", "insert into t values (1)")
    assert answer["error"] == "conflict" and "23505 t_n_key" in answer["cause"]
    assert numbers(table) == ""
    driver.ask("insert into t values (1)", "insert into t values (2)")
    assert numbers(table) == "1 2"
    assert driver.value("select count(*) from t") == "2"


def test_what_fails_only_at_the_end_is_told_too(way, drive, table):
    table.sql("create table bakame.d (n int unique deferrable initially deferred); grant all on bakame.d to service_role")
    driver = drive(way)
    for _ in range(3):
        answer = driver.ask("insert into d values (1), (1)", "select 'not this'")
        assert answer["error"] == "conflict", answer
        assert driver.value("select 'next'") == "next"
    assert table.sql("select count(*) from bakame.d") == "0"


@pytest.mark.parametrize("statement, kind", [
    ("insert into t values (5), (5)", "conflict"),
    ("insert into t values (5000)", "unprocessable"),
    ("select 'x'::uuid", "unprocessable"),
    ("select 1 / 0", "unprocessable"),
    ("insert into sessions (user_id, token_hash, expires_at) values (gen_random_uuid(), sha256(''), now())", "not_found"),
    ("select * from nowhere", "internal_error"),
    ("this is no SQL", "internal_error"),
    ("do $$ begin raise exception 'Not here.' using errcode = 'BK404'; end $$", "not_found"),
    ("do $$ begin raise exception 'x' using errcode = '53100'; end $$", "service_unavailable"),
    ("do $$ begin raise exception 'x' using errcode = '53300'; end $$", "service_unavailable"),
    ("do $$ begin raise exception 'x' using errcode = '40001'; end $$", "service_unavailable"),
])
def test_errors_have_a_meaning(drive, table, statement, kind):
    driver = drive(table.url)
    answer = driver.ask(statement)
    assert answer["error"] == kind, answer
    assert "select" not in answer["message"]
    assert driver.value("select 'alive'") == "alive"


def test_a_person_may_not_do_what_is_not_granted(drive, table):
    driver = drive(table.url)
    assert driver.ask("select hash from passwords", role="user", user=ADA)["error"] == "forbidden"
    assert driver.ask("select count(*) from users", role="anon")["error"] == "forbidden"


def test_a_login_role_without_the_roles_is_told_to_the_operator(drive, table):
    table.sql("create role stranger_" + table.name + " login")
    answer = drive(table.as_role("stranger_" + table.name)).ask("select 1")
    assert answer["error"] == "service_unavailable" and "may the login role" in answer["cause"]


def test_nothing_is_written_by_a_transaction_that_only_reads(way, drive, table):
    answer = drive(way).ask("insert into t values (1)", read_only=True)
    assert answer["error"] == "service_unavailable" and "25006" in answer["cause"]
    assert numbers(table) == ""


def test_a_connection_that_dies_while_idle_is_not_noticed(way, drive, database):
    driver = drive(way, pool=2)
    for _ in range(4):
        assert driver.value("select 'here'") == "here"
        database.kill_backends()
        assert driver.value("select 'again'", read_only=True) == "again"


def test_many_die_while_idle(drive, database):
    driver = drive(database.url, pool=4)
    with database.locked():
        begun = [driver.begin(LOCK) for _ in range(4)]
        await_running(database, LOCK, 4)
    assert all("rows" in driver.end(number) for number in begun)
    assert driver.view()["idle"] == 4
    database.kill_backends()
    wait_until(lambda: driver.view()["open"] == 0, what="noticing that all are gone")
    assert driver.value("select 'back'") == "back"


def await_running(database, words, count=1):
    wait_until(lambda: int(database.sql(
        "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
        f" and datname = '{database.name}' and query like '%{words}%'")) == count, what="a statement that runs")


def test_reading_survives_the_death_of_its_connection(way, drive, database):
    driver = drive(way)
    number = driver.begin("select pg_sleep(1), 'read'", "select 'twice'", read_only=True, timeout_ms=120_000)
    await_running(database, "pg_sleep")
    database.kill_backends()
    assert driver.end(number)["rows"][1] == [["twice"]]


def test_writing_is_never_tried_twice(way, drive, table):
    driver = drive(way)
    number = driver.begin("insert into t values (1)", "select pg_sleep(600)", timeout_ms=600_000)
    await_running(table, "pg_sleep")
    table.kill_backends()
    assert driver.end(number)["error"] == "service_unavailable"
    assert driver.value("select 'next'", read_only=True) == "next"
    assert numbers(table) == ""


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_connection_that_breaks_without_a_word_is_an_outage(drive, table, reset):
    """As when a host in between dies: the server says no goodbye."""
    wire = Wire(table.cluster.port)
    driver = drive(table.cluster.url(table.name, port=wire.port), pool=1)
    number = driver.begin("insert into t values (1)", "select pg_sleep(600)", timeout_ms=600_000)
    await_running(table, "pg_sleep")
    wire.cut(reset)
    answer = driver.end(number)
    assert answer["error"] == "service_unavailable", answer
    assert driver.value("select 'next'", read_only=True) == "next"
    wire.close()
    table.kill_backends()       # of which the one that sleeps knows nothing yet


def test_the_server_starts_anew(drive, cluster):
    own = type(cluster)()
    database = own.new_database()
    driver = drive(database.url, pool=3)
    assert driver.value("select 1") == "1"
    own.stop()

    def refuse():
        assert driver.ask("select 1")["error"] == "service_unavailable"
    at_best(lambda: took(refuse), 4)
    assert not driver.view()["open"]
    own.start()
    wait_until(lambda: "rows" in driver.ask("select 1"), what="a connection")
    own.stop()
    own.close()


def test_a_server_that_hangs_costs_no_more_than_the_time_allowed(drive, cluster):
    own = type(cluster)()
    try:
        driver = drive(own.new_database().url, pool=2, timeout_ms=500)
        wait_until(lambda: "rows" in driver.ask("select 1"), what="a connection within the time allowed")
        own.freeze()
        begun = [driver.begin("select 1") for _ in range(8)]
        kinds = {driver.end(number)["error"] for number in begun}
        assert kinds <= {"upstream_timeout", "service_unavailable"} and "upstream_timeout" in kinds
        own.thaw()
        wait_until(lambda: "rows" in driver.ask("select 1"), what="an answer")
    finally:
        own.close()


def test_the_breaker_spares_a_server_that_is_away(drive, database):
    driver = drive(database.url, BREAKER_DATABASE="3/600")
    database.cut_off()
    answers = [driver.ask("select 1") for _ in range(6)]
    assert {answer["error"] for answer in answers} == {"service_unavailable"}
    assert "breaker" in answers[-1]["cause"]
    assert not driver.view()["usable"]
    database.let_in()
    assert "breaker" in driver.ask("select 1")["cause"]


def test_a_slow_statement_is_ended_by_the_server_too(way, drive, database):
    driver = drive(way)
    assert driver.ask("select pg_sleep(30)", timeout_ms=300)["error"] == "upstream_timeout"
    wait_until(lambda: database.sql("select count(*) from pg_stat_activity where query like '%pg_sleep(30)%'"
                                    f" and state = 'active' and datname = '{database.name}' and pid <> pg_backend_pid()") == "0",
               what="the end of the statement")
    assert driver.value("select 'fine'") == "fine"


def test_a_read_only_database_is_told(drive, table):
    table.sql(f"alter database {table.name} set default_transaction_read_only = on")
    driver = drive(table.url)
    answer = driver.ask("insert into t values (1)")
    assert answer["error"] == "service_unavailable" and "no changes" in answer["message"]
    assert driver.value("select count(*) from t") == "0"
    psql(table.cluster.url("postgres"), f"alter database {table.name} reset default_transaction_read_only")
    wait_until(lambda: "rows" in driver.ask("insert into t values (1)"), what="a connection that may write")


def test_more_than_there_are_connections_wait_in_turn(drive, table):
    driver = drive(table.url, pool=1, timeout_ms=60_000)
    begun = [driver.begin([f"insert into t select {n} from pg_sleep(0.02)"]) for n in range(20)]
    assert all("rows" in driver.end(number) for number in begun)
    assert table.sql("select string_agg(n::text, ' ' order by ctid) from bakame.t") == " ".join(map(str, range(20)))
    assert driver.view() == {"id": "view", "open": 1, "idle": 1, "waiting": 0, "usable": True}


def test_who_waits_too_long_for_a_connection_is_told(drive, database):
    driver = drive(database.url, pool=1)
    with database.locked():
        holder = driver.begin(LOCK, timeout_ms=120_000)
        await_running(database, LOCK)
        answer = driver.ask("select 1", timeout_ms=200)
    assert answer["error"] == "service_unavailable" and "busy" in answer["message"]
    assert "rows" in driver.end(holder)


def test_who_is_cancelled_while_waiting_leaves_the_queue(drive, database):
    driver = drive(database.url, pool=1)
    with database.locked():
        holder = driver.begin(LOCK, timeout_ms=120_000)
        await_running(database, LOCK)
        waiting = [driver.begin("select 'mine'") for _ in range(3)]
        assert driver.cancel(waiting[1])["error"] == "cancelled"
    assert "rows" in driver.end(holder)
    assert driver.end(waiting[0])["rows"] == [[["mine"]]] and driver.end(waiting[2])["rows"] == [[["mine"]]]


def test_a_cancelled_transactions_connection_is_clean_before_it_is_used_again(way, drive, database):
    driver = drive(way, pool=1)
    for turn in range(5):
        with database.locked():
            number = driver.begin(f"{LOCK}, 'theirs {turn}'", "select 'theirs too'", timeout_ms=120_000)
            await_running(database, f"theirs {turn}")
            assert driver.cancel(number)["error"] == "cancelled"
        assert driver.value(f"select 'mine {turn}'") == f"mine {turn}"
    assert driver.view()["open"] == 1


def test_one_that_is_cancelled_for_long_is_given_up(drive, database):
    driver = drive(database.url, pool=1, timeout_ms=500)
    number = driver.begin("select pg_sleep(60)", timeout_ms=60000)
    await_running(database, "pg_sleep")
    assert driver.cancel(number)["error"] == "cancelled"
    wait_until(lambda: driver.ask("select 1").get("rows"), what="another connection")


def test_large_texts_go_both_ways(way, drive):
    driver = drive(way, timeout_ms=60000)
    text = "Çé𝒳\n'\\" * 400000
    for _ in range(2):
        assert driver.value(["select $1", text], ["select $1 || $2", text, "end"]) == text + "end"


def test_whatever_happens_no_answer_is_anothers(drive, database):
    """Hundreds at once, cancelled and killed at random: each gets its own rows or an error."""
    driver = drive(database.url, pool=5, timeout_ms=60_000)
    begun = {}
    for turn in range(300):
        begun[driver.begin([f"select 'for {turn}' from pg_sleep(0.003)"], role="user", user=ADA if turn % 2 else BEA)] = turn
        if turn % 7 == 3:
            driver._send({"cancel": list(begun)[-3]})
        if turn % 60 == 59:
            database.kill_backends()
    for number, turn in begun.items():
        answer = driver.end(number)
        assert answer.get("rows", [[[f"for {turn}"]]]) == [[[f"for {turn}"]]], answer
    wait_until(lambda: driver.view()["waiting"] == 0)
    assert driver.value("select 'calm'", read_only=True) == "calm"
