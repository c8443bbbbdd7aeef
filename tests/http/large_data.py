"""large_data.py - a database as it is after years: many people, conversations, messages; and how long reads take in it.

    /usr/bin/python3 tests/http/large_data.py [PEOPLE CONVERSATIONS MESSAGES]     1000 100 20 without: 100,000 x 20

Time in the database is what EXPLAIN ANALYZE says for planning and running, as somebody each time, over a connection that is in
use already, as a worker's are.  On a busy machine much of it is waiting for others, so beside it stands the processor time of
the server process for the same statement (/proc/PID/schedstat).
"""
import random
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "mock")]

from postgres import Cluster, psql  # noqa: E402

WORD = "kigali"             # about one message in twenty has it, and the others:
COMMON = "musanze"
ROUNDS = 300
WARM = 10                   # the first ones plan

# As the workers ask: src/store/conversations.c, turns.c, uploads.c.
READS = {
    "list": ("select title from conversations c where user_id = '{person}'::uuid "
             "order by c.pinned desc, c.updated_at desc, c.id desc limit 31", "conversations_(list|recent)"),
    "next page": ("select title from conversations c where user_id = '{person}'::uuid and (c.pinned, c.updated_at, c.id) < "
                  "(false, now() - interval '10 minutes', '{conversation}'::uuid) "
                  "order by c.pinned desc, c.updated_at desc, c.id desc limit 31", "conversations_list"),
    "open": ("select content, row_number() over w, sum(length(content::text)) over w from messages "
             "where conversation_id = '{conversation}'::uuid window w as (order by seq desc) order by seq desc limit 501",
             "messages_conversation"),
    "files": ("select name from uploads u where u.user_id = '{person}'::uuid and u.deleted_at is null "
              "order by u.created_at desc, u.id desc limit 51", "uploads_(list|owner)"),
}


# What is looked for.
SEARCHES = {"word": WORD, "common": COMMON, "beginning": WORD[:3], "letter": "m", "nothing": "huye", "both": f"{WORD} {COMMON}",
            "phrase": f'"{COMMON} {WORD}"', "without": f"{WORD} -{COMMON}", "only without": f"-{WORD}"}


def person(number):
    return f"00000000-0000-4000-8000-{number:012d}"


def conversation(of, number):
    return f"10000000-0000-4000-8000-{of * 1000 + number:012d}"


def as_person(id):
    return ("begin; set local role authenticated; "
            f"""do $$ begin perform set_config('request.jwt.claims', '{{"sub":"{id}"}}', true); end $$; """)


def fill(database, people, conversations, messages):
    """The indexes of words are made at the end, which is quicker."""
    words = database.rows("select indexname, indexdef from pg_indexes where schemaname = 'bakame' and indexdef like '%USING gin%'")
    for name, _ in words:
        database.sql(f"drop index {name}")
    database.sql(f"""
        insert into users (id, email) select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, n || '@example.org'
            from generate_series(1, {people}) n;
        insert into conversations (id, user_id, title, updated_at)
            select ('10000000-0000-4000-8000-' || lpad((u * 1000 + c)::text, 12, '0'))::uuid,
                   ('00000000-0000-4000-8000-' || lpad(u::text, 12, '0'))::uuid, 'title ' || md5(c::text),
                   now() - c * interval '1 minute'
            from generate_series(1, {people}) u, generate_series(1, {conversations}) c;
        insert into messages (id, conversation_id, user_id, role, content, text)
            select gen_random_uuid(), c.id, c.user_id, case m % 2 when 0 then 'assistant' else 'user' end, to_jsonb(t), t
            from conversations c, generate_series(1, {messages}) m, lateral (select
                md5(m || c.id::text) || ' ' || repeat(md5(c.title || m) || ' ', 10) ||
                case when (m * 31 + hashtext(c.id::text)) % 20 = 0 then '{WORD}' else '{COMMON}' end as t) x;
        insert into uploads (id, user_id, name, type, size, sha256, storage, storage_key, stored_at)
            select gen_random_uuid(), u.id, 'x.txt', 'text/plain', 1, repeat('0', 64), 'directory', gen_random_uuid()::text, now()
            from users u, generate_series(1, 60) n
    """)
    for _, definition in words:
        database.sql(f"set maintenance_work_mem = '512MB'; {definition}")
    psql(database.url, "vacuum analyze", timeout=900)


class Session:
    """A connection that stays, by psql."""

    def __init__(self, database):
        self.process = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database.url], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = int(self.sql("set search_path = bakame; select pg_backend_pid()"))

    def sql(self, statement):
        self.process.stdin.write(f"{statement};\n\\echo ~~~\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line == "~~~\n":
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"psql ended after {statement}")

    def processor_ms(self):
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e6

    def took(self, statement, who):
        """Milliseconds in the database, and of the processor."""
        self.sql(as_person(who).rstrip("; "))
        before = self.processor_ms()
        told = self.sql(f"explain (analyze, timing off) {statement}")
        processor = self.processor_ms() - before
        self.sql("commit")
        return sum(float(ms) for ms in re.findall(r"^(?:Planning|Execution) Time: ([\d.]+) ms$", told, re.M)), processor

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def percentiles(took):
    took = sorted(took[WARM:])
    return "p50 %5.2f, p99 %6.2f" % (took[len(took) // 2], took[int(len(took) * 0.99)])


def main():
    numbers = [int(word) for word in sys.argv[1:4]] or [1000, 100, 20]
    people, conversations, messages = numbers
    cluster = Cluster()
    try:
        database = cluster.new_database()
        began = time.monotonic()
        fill(database, *numbers)
        print(f"{people * conversations} conversations of {messages} messages, filled in {time.monotonic() - began:.0f} s")
        chance = random.Random(1)

        def read(sql):
            def one():
                of = chance.randint(1, people)
                return sql.format(person=person(of), conversation=conversation(of, chance.randint(1, conversations))), person(of)
            return one
        reads = {name: sql for name, (sql, _) in READS.items()}
        for name, wanted in SEARCHES.items():
            reads[f"search: {name}"] = f"select * from find_conversations('{wanted}', null, null, 31)"
        session = Session(database)
        for name, sql in reads.items():
            one = read(sql)
            took = [session.took(*one()) for _ in range(ROUNDS + WARM)]
            print("%-20s ms in the database: %s   of the processor: %s" %
                  (name, percentiles([wall for wall, _ in took]), percentiles([cpu for _, cpu in took])))
        session.close()
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
