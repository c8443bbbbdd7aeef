"""bakamectl migrate: once each, in order, by one at a time; and what it refuses."""
import shutil
import subprocess
import threading

import pytest

from postgres import SQL, Pooler, migrate, psql
from worker import CONTROL_PROGRAM, environment

FILES = sorted(path.name for path in SQL.glob("*.sql"))

# What a project of Supabase has before us: its roles, and auth with its users.
SUPABASE = """
do $$ declare r text; begin
  foreach r in array array['anon nologin noinherit', 'authenticated nologin noinherit', 'service_role nologin noinherit bypassrls',
                           'authenticator login noinherit', 'supabase_auth_admin nologin noinherit createrole'] loop
    if not exists (select from pg_roles where rolname = split_part(r, ' ', 1)) then execute 'create role ' || r; end if;
  end loop;
end $$;
grant anon, authenticated, service_role to authenticator;
create schema extensions; create extension unaccent schema extensions;
create schema auth authorization supabase_auth_admin;
create table auth.users (id uuid primary key, email varchar(255), raw_user_meta_data jsonb, created_at timestamptz default now());
alter table auth.users owner to supabase_auth_admin;
create function auth.uid() returns uuid language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                  (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'))::uuid $$;
grant usage on schema auth to anon, authenticated, service_role;
"""


@pytest.fixture
def empty(cluster):
    return cluster.new_database(empty=True)


@pytest.fixture
def copy(tmp_path):
    """A directory of migrations to spoil."""
    return shutil.copytree(SQL, tmp_path / "sql")


def test_each_file_is_applied_once_and_in_order(empty):
    first = migrate(empty.url)
    assert (first.returncode, first.stdout) == (0, "".join(f"{name}: applied\n" for name in FILES)), first.stderr
    again = migrate(empty.url)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert [row[0] for row in empty.rows("select name from migrations order by number")] == FILES


def test_status_tells_and_changes_nothing(empty):
    before = migrate(empty.url, "--status")
    assert before.returncode == 75
    assert before.stdout == "".join(f"{name}: missing\n" for name in FILES)
    assert psql(empty.url, "select to_regnamespace('bakame') is null") == "t\n"
    migrate(empty.url)
    after = migrate(empty.url, "--status")
    assert after.returncode == 0
    assert [line.split(":")[0] for line in after.stdout.splitlines()] == FILES
    assert all(": applied 20" in line and line.endswith(" UTC") for line in after.stdout.splitlines())


def test_two_at_once_do_each_file_once(empty):
    done = []
    threads = [threading.Thread(target=lambda: done.append(migrate(empty.url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.returncode for each in done] == [0] * 4, [each.stderr for each in done]
    assert sorted("".join(each.stdout for each in done).splitlines()) == [f"{name}: applied" for name in FILES]


def test_a_file_that_was_changed_after_it_was_applied_is_refused(empty, copy):
    migrate(empty.url)
    (copy / FILES[0]).write_text((copy / FILES[0]).read_text() + "\n-- a word more\n")
    for words in ((), ("--status",)):
        done = migrate(empty.url, *words, directory=copy)
        assert done.returncode == 65 and "was changed after it was applied" in done.stderr


def test_a_database_that_is_newer_is_refused(empty, copy):
    migrate(empty.url)
    (copy / FILES[-1]).unlink()
    done = migrate(empty.url, directory=copy)
    assert done.returncode == 65 and "newer than this program" in done.stderr and FILES[-1] in done.stderr


@pytest.mark.parametrize("sql, words", [
    ("create table bakame.half (n int); select 1 / 0;", "division by zero"),
    ("create table bakame.half (n int); commit;", "ends the transaction"),
    ("create table bakame.half (", "syntax error"),
])
def test_what_fails_in_the_middle_leaves_nothing(empty, copy, sql, words):
    name = f"{len(FILES) + 1:04}_bad.sql"
    (copy / name).write_text(sql)
    done = migrate(empty.url, directory=copy)
    assert done.returncode == 70 and words in done.stderr and name in done.stderr
    assert [row[0] for row in empty.rows("select name from migrations order by number")] == FILES
    if "commit" not in sql:
        assert empty.sql("select to_regclass('bakame.half') is null") == "t"


@pytest.mark.parametrize("spoil, words", [
    (lambda sql: (sql / FILES[1]).unlink(), "the next migration must be 0002_"),
    (lambda sql: (sql / FILES[0]).write_bytes(b"x" * ((1 << 20) + 1)), "more than 1 MiB"),
    (lambda sql: [path.unlink() for path in sql.iterdir()], "no migrations here"),
    (lambda sql: shutil.rmtree(sql), "No such file"),
])
def test_a_directory_that_is_not_whole_is_refused(empty, copy, spoil, words):
    spoil(copy)
    done = migrate(empty.url, directory=copy)
    assert done.returncode == 70 and words in done.stderr


def test_it_works_by_way_of_a_transaction_pooler(empty):
    pooler = Pooler(empty)
    try:
        assert migrate(pooler.url).returncode == 0
        assert migrate(pooler.url, "--status").returncode == 0
    finally:
        pooler.close()


def test_a_database_away_is_told(empty):
    done = migrate("postgresql://owner@127.0.0.1:1/nothing")
    assert done.returncode == 69 and "Connection refused" in done.stderr


def test_without_a_database_it_says_so():
    done = subprocess.run([str(CONTROL_PROGRAM), "migrate"], env=environment(BAKAME_ENV="development"),
                          capture_output=True, text=True)
    assert done.returncode == 78 and "DATABASE_URL" in done.stderr


def test_an_owner_who_is_no_superuser_will_do(cluster):
    own = type(cluster)()
    try:
        psql(own.url("postgres"), "create role plain login createrole")
        psql(own.url("postgres"), "create database plain owner plain")
        # roles of the cluster that our template made belong to its owner
        psql(own.url("postgres"), "grant anon, authenticated, service_role to plain with admin option; "
                                  "create role bakame_worker login; grant anon, authenticated, service_role to bakame_worker")
        done = migrate(own.url("plain", "bakame_worker"), DATABASE_OWNER_URL=own.url("plain", "plain"))
        assert done.returncode == 0, done.stderr
        see = "set role service_role; select count(*) from bakame.users"
        assert psql(own.url("plain", "bakame_worker"), see) == "0\n"
    finally:
        own.close()


def test_supabases_own_database_is_taken_as_it_is(cluster):
    own = type(cluster)()
    try:
        database = own.new_database(empty=True)
        psql(database.url, SUPABASE)
        before = psql(database.url, "select rolname, rolcanlogin, rolbypassrls from pg_roles order by 1")
        done = migrate(database.url)
        assert done.returncode == 0, done.stderr
        assert psql(database.url, "select rolname, rolcanlogin, rolbypassrls from pg_roles order by 1") == before
        assert database.sql("select nspname from pg_extension e join pg_namespace n on n.oid = extnamespace"
                            " where extname = 'unaccent'") == "extensions"
        assert database.sql("select plain('Çé Ñandú')") == "Ce Nandu"
        ada = "11111111-1111-4111-8111-111111111111"
        psql(database.url, f"insert into auth.users (id, email) values ('{ada}', 'ada@example.org')")
        database.sql(f"insert into users (id, email) values ('{ada}', 'ada@example.org')")
        claims = f"""select set_config('request.jwt.claims', '{{"sub":"{ada}"}}', false); set role authenticated; """
        assert psql(database.url, claims + "select concat(auth.uid() = bakame.uid(), count(*)) from bakame.users").endswith("t1\n")
        psql(database.url, "delete from auth.users")
        assert database.sql("select count(*) from users") == "0"
    finally:
        own.close()
