"""Lists, opening and search use their indexes, though row-level security stands between."""
import re

import pytest

import large_data

ADA = large_data.person(7)
CONVERSATION = large_data.conversation(7, 3)


@pytest.fixture(scope="module")
def filled(cluster):
    database = cluster.new_database()
    large_data.fill(database, people=30, conversations=60, messages=8)
    return database


def plan(database, statement):
    """The plan of a statement as somebody's own."""
    return database.sql(large_data.as_person(ADA) + f"explain {statement}; commit")


@pytest.mark.parametrize("what", large_data.READS)
def test_each_read_uses_its_index(filled, what):
    statement, index = large_data.READS[what]
    text = plan(filled, statement.format(person=ADA, conversation=CONVERSATION))
    assert re.search(index, text), text
    assert not re.search(r"Seq Scan on (conversations|messages|uploads)", text), text


@pytest.mark.parametrize("statement", ["select coalesce(sum(size), 0) from uploads where user_id = '{person}'::uuid",
                                       "delete from uploads where user_id = '{person}'::uuid"], ids=["quota", "erasing"])
def test_files_of_one_person_are_found_without_reading_all(filled, statement):
    """Deleted ones too, which the index of the list leaves out."""
    text = filled.sql(f"set enable_seqscan = off; explain {statement.format(person=ADA)}")
    assert re.search(r"uploads_owner", text) and not re.search(r"Seq Scan", text), text


def test_of_many_files_the_newest_are_read_alone(filled):
    """Of few, all may be read and put in order."""
    eve = large_data.person(8)
    statement, _ = large_data.READS["files"]
    text = filled.sql(f"""
        begin;
        insert into uploads (id, user_id, name, type, size, sha256, storage, storage_key, stored_at, created_at)
            select gen_random_uuid(), '{eve}', 'f' || n, 'text/plain', 1, repeat('0', 64), 'directory', n::text, now(), now() - n * interval '1 minute'
            from generate_series(1, 5000) n;
        analyze uploads;
        explain {statement.format(person=eve)};
        rollback""")
    assert "uploads_list" in text and "Sort" not in text, text


def test_search_uses_both_indexes_within_its_function(filled):
    """Which EXPLAIN does not look into: what was scanned is counted."""
    def scans():
        return dict(filled.rows("select indexrelname, idx_scan from pg_stat_all_indexes where schemaname = 'bakame' "
                                "and indexrelname in ('messages_words', 'conversations_words')"))
    before = scans()
    filled.sql(large_data.as_person(ADA) + f"select * from find_conversations('{large_data.WORD}', null, null, 30); "
               "select pg_stat_force_next_flush(); commit")
    after = scans()
    for name in before:
        assert int(after[name]) > int(before[name]), f"{name} was not used"


def test_search_finds_ones_own_only(filled):
    found = filled.sql(large_data.as_person(ADA) + f"select count(*), count(*) filter (where c.user_id = '{ADA}') "
                       f"from find_conversations('{large_data.WORD}', null, null, 1000) f join conversations c using (id); commit")
    all, own = found.splitlines()[-1].split("\x1f")
    assert all == own and int(all) > 0


def found(database, wanted, of=ADA, before="null, null", at_most=1000):
    """Pairs of id and time, as lines."""
    return database.sql(large_data.as_person(of) +
                        f"select id, updated_at from find_conversations($w${wanted}$w$, {before}, {at_most}); commit").splitlines()


def expected(database, wanted, of=ADA):
    """The same by looking at everything."""
    return database.sql(f"""
        select c.id, c.updated_at from conversations c where c.user_id = '{of}' and (c.search @@ words_query($w${wanted}$w$)
            or exists (select from messages m where m.conversation_id = c.id and m.search @@ words_query($w${wanted}$w$)))
        order by c.updated_at desc, c.id desc""").splitlines()


WANTED = [*large_data.SEARCHES.values(), "titl", "title kigali", "kigali or huye", "kigali -title", "e-mail", "-title",
          '-"musanze kigali"', "a", "7"]


@pytest.mark.parametrize("wanted", WANTED)
def test_search_finds_what_looking_at_everything_finds(filled, wanted):
    assert found(filled, wanted) == expected(filled, wanted)


@pytest.mark.parametrize("wanted", [large_data.WORD, "m", f"-{large_data.WORD}"])
def test_pages_of_a_search_are_the_whole(filled, wanted):
    all, pages, before = found(filled, wanted), [], "null, null"
    while page := found(filled, wanted, before=before, at_most=23):
        pages += page
        id, at = page[-1].split("\x1f")
        before = f"'{at}'::timestamptz, '{id}'::uuid"
    assert pages == all


def test_what_is_in_many_messages_is_found_below_newer_conversations(filled):
    """In more messages than are counted, of conversations older than those that are looked through first."""
    eve = "00000000-0000-4000-8000-999999999999"
    filled.sql(f"""
        insert into users (id, email) values ('{eve}', 'eve@example.org');
        insert into conversations (id, user_id, updated_at)
            select gen_random_uuid(), '{eve}', now() - n * interval '1 minute' from generate_series(1, 140) n;
        insert into messages (id, conversation_id, user_id, role, content, text)
            select gen_random_uuid(), c.id, c.user_id, 'user', '""', case when c.updated_at < now() - interval '120.5 minutes'
                then 'kera cyane' else 'ubu' end from conversations c, generate_series(1, 30) where user_id = '{eve}'""")
    for wanted, count in (("kera", 20), ("-ubu", 140), ("ubu", 120), ("kera cyane", 20), ('"cyane kera"', 0)):
        assert found(filled, wanted, eve, at_most=200) == expected(filled, wanted, eve), wanted
        assert len(expected(filled, wanted, eve)) == count, wanted


def test_words_of_any_length_and_kind_are_stored_and_others_found_beside_them(filled):
    texts = ["x" * 2046 + " ikirenga", "y" * 2000 + "z ikirenga", "l'eau d''hier ''' ikirenga", "C:\\x\\y \\ ikirenga",
             "'\\' ikirenga"]
    assert found(filled, "ikirenga") == []
    filled.sql(large_data.as_person(ADA) + "insert into messages (id, conversation_id, user_id, role, content, text) values " +
               ", ".join(f"(gen_random_uuid(), '{CONVERSATION}', '{ADA}', 'user', '\"\"', $w${text}$w$)" for text in texts) +
               "; commit")
    assert len(found(filled, "ikirenga")) == 1
    assert found(filled, "hier") == found(filled, "l'eau") == expected(filled, "hier") != []
    assert found(filled, "y" * 2000 + "z") == []
