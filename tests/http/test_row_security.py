"""Row-level security: whoever asks as a person sees and changes what is theirs, in every table."""
import pytest

from postgres import psql

ADA, BEA = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
DIGEST = "sha256('{who}')"

# For each table with people's data: a row of somebody's, and what a person may change in it.
ROWS = {
    "users": ("(id, email) values ('{who}', '{who}@example.org')", None),
    "passwords": ("(user_id, hash) values ('{who}', 'x')", None),
    "sessions": ("(user_id, token_hash, expires_at) values ('{who}', " + DIGEST + ", now() + '1 day')", None),
    "api_keys": ("(user_id, name, prefix, key_hash) values ('{who}', 'n', 'bk_', " + DIGEST + ")", "revoked_at = now()"),
    "conversations": ("(id, user_id, title) values ('{who}', '{who}', 'secret')", "title = 'changed'"),
    "messages": ("(id, conversation_id, user_id, role, content) values ('{who}', '{who}', '{who}', 'user', '\"secret\"')",
                 "status = 'pending'"),
    "uploads": ("(id, user_id, name, type, size, sha256, storage, storage_key) values"
                " ('{who}', '{who}', 'n', 't', 1, repeat('a', 64), 'directory', '{who}')", "name = 'changed'"),
    "usage_hourly": ("(user_id, hour, requests) values ('{who}', date_trunc('hour', now(), 'UTC'), 1)", None),
    "token_days": ("(user_id, day) values ('{who}', current_date)", None),
    "token_reservations": ("(id, user_id, day, tokens) values ('{who}', '{who}', current_date, 1)", None),
}
NOBODYS = {"migrations"}
SERVICE_ONLY = ["audit_log", "upload_remains", "usage_parts"]


@pytest.fixture(scope="module")
def house(cluster):
    """A database in which Ada and Bea have a row in each table."""
    database = cluster.new_database()
    for who in (ADA, BEA):
        for table, (row, _) in ROWS.items():
            database.sql(f"insert into {table} {row.format(who=who)}")
    return database


def owner_of(table):
    return "id" if table == "users" else "user_id"


def as_person(database, who, statement):
    """Runs it as a worker would for this person, then undoes it."""
    claims = f'{{"sub":"{who}","role":"authenticated"}}' if who else "{}"
    role = "authenticated" if who else "anon"
    return psql(database.url, f"begin; set local role {role}; set local request.jwt.claims = '{claims}';"
                              f" set local search_path = bakame; {statement}; rollback").strip()


def refused(database, who, statement):
    with pytest.raises(AssertionError, match="permission denied|row-level security"):
        as_person(database, who, statement)
    return True


def test_every_table_is_accounted_for(house):
    tables = {row[0] for row in house.rows(
        "select relname from pg_class where relnamespace = 'bakame'::regnamespace and relkind in ('r', 'p')")}
    assert tables == {*ROWS, *NOBODYS, *SERVICE_ONLY}
    unguarded = house.rows("select relname from pg_class where relnamespace = 'bakame'::regnamespace and relkind in ('r', 'p')"
                           " and not (relrowsecurity and relforcerowsecurity)")
    assert {row[0] for row in unguarded} == NOBODYS


@pytest.mark.parametrize("table", [table for table in ROWS if table != "passwords"])
def test_one_sees_ones_own_rows_only(house, table):
    owner = owner_of(table)
    for who in (ADA, BEA):
        assert as_person(house, who, f"select string_agg(distinct {owner}::text, ',') from {table}") == who
    other = f"select count({owner}) from {table} where {owner} = '{BEA}'"
    assert as_person(house, ADA, other) == "0"
    stranger = "33333333-3333-4333-8333-333333333333"
    assert as_person(house, stranger, f"select count({owner}) from {table}") == "0"


@pytest.mark.parametrize("table", [*ROWS, *SERVICE_ONLY, *NOBODYS])
def test_a_guest_sees_no_table(house, table):
    assert refused(house, None, f"select from {table}")


@pytest.mark.parametrize("table", ["passwords", *SERVICE_ONLY, *NOBODYS])
def test_no_person_comes_near_what_is_for_the_service(house, table):
    assert refused(house, ADA, f"select from {table}")


@pytest.mark.parametrize("table", [table for table, (_, change) in ROWS.items() if change])
def test_one_changes_ones_own_rows_only(house, table):
    change = ROWS[table][1]
    changed = f"with c as (update {table} set {change} returning user_id) select string_agg(distinct user_id::text, ',') from c"
    assert as_person(house, ADA, changed) == ADA
    if table != "api_keys":
        gone = f"with d as (delete from {table} returning user_id) select string_agg(distinct user_id::text, ',') from d"
        assert as_person(house, ADA, gone) == ADA


@pytest.mark.parametrize("table", [table for table, (_, change) in ROWS.items() if not change and table != "passwords"])
def test_what_one_may_only_see_one_cannot_change(house, table):
    for statement in (f"delete from {table}", f"update {table} set {owner_of(table)} = '{ADA}'",
                      f"insert into {table} {ROWS[table][0].format(who=ADA)}"):
        assert refused(house, ADA, statement)


@pytest.mark.parametrize("table", [table for table, (_, change) in ROWS.items() if change])
def test_nobody_gives_rows_to_others(house, table):
    stranger = "33333333-3333-4333-8333-333333333333"
    house.sql(f"insert into users (id, email) values ('{stranger}', 'c@example.org') on conflict do nothing")
    assert refused(house, ADA, f"update {table} set user_id = '{BEA}'")
    row = ROWS[table][0].format(who=stranger).replace("'bk_', sha256", "'bk_', sha256")
    assert refused(house, ADA, f"insert into {table} {row}")


def test_a_message_goes_into_ones_own_conversation_only(house):
    message = ("insert into messages (id, conversation_id, user_id, role, content)"
               f" values (gen_random_uuid(), '{BEA}', '{ADA}', 'user', '\"x\"')")
    with pytest.raises(AssertionError, match="foreign key"):
        as_person(house, ADA, message)


def test_the_service_sees_all(house):
    for table in [*ROWS, *SERVICE_ONLY]:
        count = psql(house.url, f"begin; set local role service_role; select count(*) from bakame.{table}; rollback").strip()
        assert int(count) >= (2 if table in ROWS else 0)


def test_secrets_digests_are_hidden_even_from_their_owner(house):
    for table, column in (("sessions", "token_hash"), ("sessions", "previous_hash"), ("api_keys", "key_hash")):
        assert refused(house, ADA, f"select {column} from {table}")
        assert refused(house, ADA, f"select * from {table}")


def test_erasing_somebody_takes_everything_of_theirs_and_nothing_else(house, cluster):
    database = cluster.new_database()
    for who in (ADA, BEA):
        for table, (row, _) in ROWS.items():
            database.sql(f"insert into {table} {row.format(who=who)}")
    psql(database.url, f"begin; set local role service_role; delete from bakame.users where id = '{ADA}'; commit")
    for table in ROWS:
        assert database.sql(f"select string_agg({owner_of(table)}::text, ',') from {table}") == BEA
    assert database.sql("select storage_key from upload_remains") == ADA
