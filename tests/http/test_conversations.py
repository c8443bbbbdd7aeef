"""Conversations: what is said is kept, found again, branched, named, deleted; by its owner only."""
import json
import uuid

import pytest

import script as mock
from client import text_of
from contract import assert_ends_in_error, assert_error
from jobs import JOBS_PROGRAM, Queue
from people import Person, settings
from postgres import psql
from redis_server import RedisServer
from stack import MODEL, Stack, chat_body, wait_until

import replies

NASTY = """'; drop table messages; -- " \\ $1 %s {{7*7}} <script>Ç𝒳</script> ' or '1'='1"""
NOBODYS = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def house(tmp_path_factory, model, cluster):
    database = cluster.new_database()
    stack = Stack(tmp_path_factory.mktemp("stack"), model, workers=2, **settings(database))
    stack.database = database
    yield stack
    stack.close()


@pytest.fixture
def ada(house, request):
    """Somebody new for each test."""
    return somebody(house, request.node.name)


def somebody(stack, name):
    return Person(stack, f"{uuid.uuid5(uuid.NAMESPACE_URL, name)}@example.org").sign_up()


def say(person, content="Hello", **members):
    """One turn; (what was told of it, the answer's text)."""
    exchange = person.bearer("POST", "/api/chat", chat_body(content, **members))
    events = exchange.events()
    assert exchange.status == 200 and events[-1] == "[DONE]", events
    told = {}
    for event in events[:-1]:
        told.update(event.get("bakame", {}))
    return told, text_of(events)


def answered(person, *args, **members):
    return say(person, *args, **members)[0]


def get(person, path):
    exchange = person.bearer("GET", path)
    assert exchange.status == 200, exchange.read()
    return exchange.json()


def opened(person, told):
    return get(person, "/api/conversations/" + told["conversation_id"])


def said(conversation):
    return [(message["role"], message["content"]) for message in conversation["messages"]]


def told_to_model(script, call=0):
    """The messages that the model was sent, the operator's own aside."""
    messages = json.loads(script.log()[call]["body"])["messages"]
    return [message for message in messages if message["role"] != "system"]


def listed(person, **query):
    parameters = "&".join(f"{name}={value}" for name, value in query.items())
    return get(person, f"/api/conversations?{parameters}")


def test_a_turn_is_kept(ada, model):
    script = model.script(mock.reply(pieces=["Yego, ", "cyane."]))
    told, text = say(ada, script)
    assert text == "Yego, cyane."
    assert told["saved"] is True and "queued" not in told
    conversation = opened(ada, told)
    assert conversation["id"] == told["conversation_id"]
    question, answer = conversation["messages"]
    assert question["id"] == told["user_message_id"] and question["parent_id"] is None
    assert answer["id"] == told["message_id"] and answer["parent_id"] == question["id"]
    assert answer["content"] == text and answer["status"] == "complete" and answer["model"] == MODEL
    assert conversation["leaf_id"] == answer["id"]
    assert conversation["title"] and conversation["pinned"] is False
    assert [item["id"] for item in listed(ada)["conversations"]] == [conversation["id"]]


def test_a_whole_answer_is_kept_too(ada):
    exchange = ada.bearer("POST", "/api/chat", chat_body("Hello", stream=False))
    answer = exchange.json()
    kept = opened(ada, answer["bakame"])
    assert said(kept)[1] == ("assistant", answer["choices"][0]["message"]["content"])


def test_what_was_said_before_comes_first(ada, model):
    first = answered(ada, model.script(mock.reply(pieces=["one"])))
    script = model.script(mock.reply(pieces=["two"]))
    second = answered(ada, script, conversation_id=first["conversation_id"])
    assert second["conversation_id"] == first["conversation_id"]
    sent = told_to_model(script)
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert sent[1]["content"] == "one" and all(message.keys() == {"role", "content"} for message in sent)
    assert [role for role, _ in said(opened(ada, first))] == ["user", "assistant", "user", "assistant"]


def test_messages_that_come_together_are_kept_as_a_chain(ada):
    body = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                         {"role": "user", "content": [{"type": "text", "text": "c"}]}]}
    exchange = ada.bearer("POST", "/api/chat", body)
    told = exchange.events()[0]["bakame"]
    messages = opened(ada, told)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
    assert [message["parent_id"] for message in messages[1:]] == [message["id"] for message in messages[:-1]]
    assert messages[2]["content"] == [{"type": "text", "text": "c"}]


def test_asking_in_other_words_makes_a_branch(ada, model):
    first = answered(ada, "one")
    second = answered(ada, "two", conversation_id=first["conversation_id"])
    script = model.script(mock.reply(pieces=["other"]))
    other = answered(ada, script, conversation_id=first["conversation_id"], parent_id=first["message_id"])
    contents = [message["content"] for message in told_to_model(script)]
    assert "one" in contents and "two" not in contents
    conversation = opened(ada, first)
    branches = [m["id"] for m in conversation["messages"] if m["parent_id"] == first["message_id"]]
    assert branches == [second["user_message_id"], other["user_message_id"]]
    assert conversation["leaf_id"] == other["message_id"]
    beginning = answered(ada, "zero", conversation_id=first["conversation_id"], parent_id=None)
    roots = [m["id"] for m in opened(ada, first)["messages"] if m["parent_id"] is None]
    assert roots == [first["user_message_id"], beginning["user_message_id"]]


def test_answering_anew_makes_a_branch_of_the_answer(ada, model):
    first = answered(ada, "one")
    script = model.script(mock.reply(pieces=["better"]))
    again = answered(ada, script, conversation_id=first["conversation_id"], parent_id=first["user_message_id"],
                     regenerate=True)
    assert again["user_message_id"] == first["user_message_id"]
    messages = opened(ada, first)["messages"]
    assert [m["id"] for m in messages] == [first["user_message_id"], first["message_id"], again["message_id"]]
    assert messages[2]["parent_id"] == first["user_message_id"]
    assert opened(ada, first)["leaf_id"] == again["message_id"]


def test_answering_anew_asks_the_model_what_was_asked_then(ada, model):
    script = model.script(mock.reply(pieces=["x"]), mock.reply(pieces=["y"]))
    first = answered(ada, script)
    say(ada, "not this", conversation_id=first["conversation_id"], parent_id=first["user_message_id"], regenerate=True)
    assert len(script.log()) == 2
    assert told_to_model(script, 1) == told_to_model(script, 0)


@pytest.mark.parametrize("ending", [[mock.FIN], [mock.event("not json")]], ids=["breaks off", "talks nonsense"])
def test_an_answer_that_breaks_off_is_kept_as_such(ada, model, ending):
    script = model.script(mock.stream(mock.text("Half of "), mock.text("it"), *ending, finish=False))
    exchange = ada.bearer("POST", "/api/chat", chat_body(script))
    events = exchange.events()
    assert_ends_in_error(events, "upstream_error")
    answer = opened(ada, events[0]["bakame"])["messages"][1]
    assert answer["status"] == "interrupted" and answer["content"] == "Half of it"


def test_what_was_said_when_the_client_left_is_kept(ada, model):
    script = model.script(mock.stream(mock.text("Half"), mock.HANG, finish=False))
    exchange = ada.bearer("POST", "/api/chat", chat_body(script))
    told = exchange.next_event()["bakame"]
    assert exchange.next_text() == "Half"
    exchange.leave()
    messages = wait_until(lambda: (lambda all: all if len(all) == 2 else None)(opened(ada, told)["messages"]))
    assert messages[1]["status"] == "interrupted" and messages[1]["content"] == "Half"


def test_what_came_of_an_answer_that_is_still_written_can_be_gone_on_from(ada, model):
    script = model.script(mock.stream(mock.text("Half"), mock.HANG, finish=False))
    exchange = ada.bearer("POST", "/api/chat", chat_body(script))
    told = exchange.next_event()["bakame"]
    assert exchange.next_text() == "Half"
    where = {"conversation_id": told["conversation_id"]}
    assert_error(ada.bearer("POST", "/api/chat", chat_body("Go on.", **where, parent_id=told["message_id"])), "not_found")
    other = model.script(mock.stream(mock.text("whole")))
    came = [{"role": "assistant", "content": "Half"}, *chat_body(other)["messages"]]
    body = {"messages": came, "parent_id": told["user_message_id"], **where}
    assert text_of(ada.bearer("POST", "/api/chat", body).events()) == "whole"
    assert [role for role, _ in said(opened(ada, told))] == ["user", "assistant", "user", "assistant"]
    assert [message["content"] for message in told_to_model(other)][1:] == [content["content"] for content in came]
    exchange.leave()


def test_what_was_said_when_the_worker_ended_is_kept(start_stack, database, model):
    import signal
    stack = start_stack(workers=1, **settings(database, DRAIN_SECONDS=1))
    ada = somebody(stack, "drain")
    script = model.script(mock.stream(mock.text("Half"), mock.HANG, finish=False))
    exchange = ada.bearer("POST", "/api/chat", chat_body(script))
    exchange.next_event()
    assert exchange.next_text() == "Half"
    stack.worker.signal(signal.SIGTERM)
    exchange.events()
    wait_until(lambda: not stack.worker.alive())
    assert database.rows("select role, status from messages order by seq") == [
        ["user", "complete"], ["assistant", "interrupted"]]


def test_a_question_that_got_no_answer_is_kept(ada, model):
    script = model.script(mock.status(500), mock.status(500), mock.status(500))
    exchange = ada.bearer("POST", "/api/chat", chat_body(script, conversation_id=None))
    assert_error(exchange, "upstream_error")
    (item,) = listed(ada)["conversations"]
    assert [role for role, _ in said(get(ada, "/api/conversations/" + item["id"]))] == ["user"]


def test_guests_are_not_kept(house, model):
    before = house.database.sql("select count(*) from messages")
    exchange = house.chat("as a guest")
    assert "conversation_id" not in exchange.events()[0]["bakame"]
    assert_error(house.chat("x", conversation_id=NOBODYS), "unauthorized")
    assert_error(house.get("/api/conversations"), "unauthorized")
    assert house.database.sql("select count(*) from messages") == before


def test_nothing_of_v1_is_kept(house, ada):
    key = ada.make_key()["key"]
    before = house.database.sql("select count(*) from messages")
    exchange = ada.bearer("POST", "/v1/chat/completions", chat_body("x", model=MODEL), token=key)
    assert exchange.status == 200 and "bakame" not in exchange.json()
    assert house.database.sql("select count(*) from messages") == before


# ---- the list ----

def test_pages_of_the_list_hold_each_once_newest_first(house, ada):
    house.database.sql("insert into conversations (id, user_id, title, pinned, updated_at) select "
                       f"gen_random_uuid(), '{ada.user['id']}', 'Title ' || n, n % 20 = 0, "
                       "timestamptz '2026-01-01' + (n / 3) * interval '1 second' from generate_series(1, 95) n")
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = listed(ada, limit=10, cursor=cursor)
        seen += page["conversations"]
        cursor = page["next_cursor"]
        pages += 1
    assert pages == 10 and len({item["id"] for item in seen}) == len(seen) == 95
    assert [item["pinned"] for item in seen] == [True] * 4 + [False] * 91
    for part in (seen[:4], seen[4:]):
        times = [item["updated_at"] for item in part]
        assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "completion"])
def test_an_answer_with_a_nul_is_kept_without_it(ada, model, streaming):
    """Models can say U+0000; PostgreSQL cannot keep it."""
    exchange = ada.bearer("POST", "/api/chat", chat_body(model.script(mock.reply(pieces=["a\0b", "\0", "c\\u0000é"])),
                                                         stream=streaming))
    assert exchange.status == 200 and exchange.read()
    (conversation,) = listed(ada)["conversations"]
    message = get(ada, f"/api/conversations/{conversation['id']}")["messages"][1]
    assert (message["content"], message["status"]) == ("abc\\u0000é", "complete")


def test_of_an_answer_that_is_too_long_to_keep_the_beginning_is_kept(ada, model):
    pieces = ["x" * 300_000, "y" * 300_000, "z"]
    told, text = say(ada, model.script(mock.reply(pieces=pieces)))
    assert text == "".join(pieces)
    assert opened(ada, told)["messages"][1]["content"] == pieces[0]


def test_search_finds_titles_and_messages_without_accents(ada):
    told = answered(ada, "Où est le café à Kigali?")
    ids = [told["conversation_id"]]
    for words in ("cafe", "CAF%C3%89", "kiga", "ou%20est", '%22le%20cafe%22'):
        assert [item["id"] for item in listed(ada, q=words)["conversations"]] == ids, words
    for words in ("tea", "%22cafe%20le%22", "cafe%20-kigali", "&", "%27%3B--", "((("):
        assert listed(ada, q=words)["conversations"] == [] or words == "&", words
    ada.bearer("PATCH", f"/api/conversations/{ids[0]}", {"title": "Ikawa n'icyayi"})
    assert [item["id"] for item in listed(ada, q="icyayi")["conversations"]] == ids


def test_pages_of_a_search_hold_each_once(house, ada):
    house.database.sql("insert into conversations (id, user_id, title, updated_at) select gen_random_uuid(), "
                       f"'{ada.user['id']}', 'inyanja ' || n, timestamptz '2026-01-01' + n * interval '1 second' "
                       "from generate_series(1, 25) n")
    first = listed(ada, q="inyanja", limit=20)
    second = listed(ada, q="inyanja", limit=20, cursor=first["next_cursor"])
    titles = [item["title"] for page in (first, second) for item in page["conversations"]]
    assert titles == [f"inyanja {n}" for n in range(25, 0, -1)]
    assert second["next_cursor"] is None


def test_a_long_conversation_comes_in_pages(house, ada):
    told = answered(ada, "first")
    id = told["conversation_id"]
    house.database.sql(f"insert into messages (id, conversation_id, user_id, parent_id, role, content, text) "
                       f"select gen_random_uuid(), '{id}', '{ada.user['id']}', '{told['message_id']}', 'user', "
                       "to_jsonb('m' || n), 'm' || n from generate_series(1, 1200) n")
    contents, cursor, pages = [], "", 0
    while cursor is not None:
        page = get(ada, f"/api/conversations/{id}?cursor={cursor}")
        contents = [message["content"] for message in page["messages"]] + contents
        cursor = page["next_cursor"]
        pages += 1
    assert pages == 3 and contents[0] == "first" and contents[2:] == [f"m{n}" for n in range(1, 1201)]


def test_changes(ada):
    path = "/api/conversations/" + answered(ada)["conversation_id"]
    assert ada.bearer("PATCH", path, {"title": "  Izina rishya  "}).json()["title"] == "Izina rishya"
    changed = ada.bearer("PATCH", path, {"pinned": True}).json()
    assert changed["pinned"] is True and changed["title"] == "Izina rishya"
    assert ada.bearer("PATCH", path, {"title": NASTY, "pinned": False}).json()["title"] == NASTY
    for body in ({}, {"title": ""}, {"title": 1}, {"title": "x" * 201}, {"title": "a\nb"}, {"pinned": "yes"}, {"title": None}):
        assert_error(ada.bearer("PATCH", path, body), "invalid_request")
    assert ada.bearer("DELETE", path).status == 204
    for method in ("GET", "DELETE"):
        assert_error(ada.bearer(method, path), "not_found")
    assert_error(ada.bearer("PATCH", path, {"pinned": True}), "not_found")
    assert listed(ada)["conversations"] == []


@pytest.mark.parametrize("query", ["cursor=x", "cursor=" + "A" * 5000, "cursor=bTEuMQ", "limit=0", "limit=101", "limit=x",
                                   "limit=1&limit=2", "q=%ff", "q=%00", "q=" + "x" * 501, "limit=-1"])
def test_parameters_without_sense_are_refused(ada, query):
    assert_error(ada.bearer("GET", "/api/conversations?" + query), "invalid_request")


@pytest.mark.parametrize("members, kind", [
    ({"conversation_id": NOBODYS}, "not_found"),
    ({"conversation_id": "x"}, "not_found"),
    ({"conversation_id": "' or 1=1 --"}, "not_found"),
    ({"conversation_id": 1}, "invalid_request"),
    ({"parent_id": NOBODYS}, "invalid_request"),
    ({"regenerate": True}, "invalid_request"),
    ({"regenerate": "yes"}, "invalid_request"),
    ({"attachments": "x"}, "invalid_request"),
    ({"attachments": [1]}, "invalid_request"),
    ({"attachments": ["x"]}, "not_found"),
    ({"attachments": [NOBODYS]}, "not_found"),
    ({"attachments": [NOBODYS] * 11}, "invalid_request"),
])
def test_members_without_sense_are_refused_and_nothing_is_kept(ada, members, kind):
    assert_error(ada.bearer("POST", "/api/chat", chat_body("x", **members)), kind)
    assert listed(ada)["conversations"] == []


def test_a_parent_of_another_conversation_is_not_there(ada):
    first, second = answered(ada, "a"), answered(ada, "b")
    body = chat_body("c", conversation_id=first["conversation_id"], parent_id=second["message_id"])
    assert_error(ada.bearer("POST", "/api/chat", body), "not_found")
    assert len(opened(ada, first)["messages"]) == 2


def test_another_persons_are_not_there(house, ada):
    told = answered(ada, "secret")
    path = "/api/conversations/" + told["conversation_id"]
    eve = somebody(house, "eve-" + uuid.uuid4().hex)
    house.database.sql(f"update users set role = 'admin' where id = '{eve.user['id']}'")
    for method, body in (("GET", None), ("PATCH", {"title": "mine"}), ("DELETE", None)):
        assert_error(eve.bearer(method, path, body), "not_found")
        assert_error(house.request(method, path, json.dumps(body) if body else None,
                                   {"Content-Type": "application/json"}), "unauthorized")
    assert_error(eve.bearer("POST", "/api/chat", chat_body("x", conversation_id=told["conversation_id"])), "not_found")
    assert listed(eve, q="secret")["conversations"] == listed(eve)["conversations"] == []
    assert said(opened(ada, told))[0] == ("user", "secret")


def test_metacharacters_are_kept_as_they_are(ada):
    told = answered(ada, NASTY)
    assert said(opened(ada, told))[0] == ("user", NASTY)
    assert listed(ada)["conversations"][0]["title"].startswith("'; drop table messages;")
    assert listed(ada, q="drop")["conversations"][0]["id"] == told["conversation_id"]


# ---- nowhere to keep it ----

def take_nothing(cluster, database):
    psql(cluster.url("postgres"), f"alter database {database.name} set default_transaction_read_only = on")
    database.kill_backends()


def take_all(cluster, database):
    psql(cluster.url("postgres"), f"alter database {database.name} reset default_transaction_read_only")
    database.kill_backends()


def do_what_waits(tmp_path, redis, database, model):
    queue = Queue(tmp_path, redis, DATABASE_URL=database.url, OPENAI_BASE_URL=model.base_url, OPENAI_API_KEY="sk-test")
    jobs = queue.start(program=JOBS_PROGRAM)
    wait_until(lambda: jobs.log("jobs started"), 60)
    queue.wait_done()
    queue.close()


def test_an_answer_whose_question_is_not_kept_is_not_kept_either(tmp_path, start_stack, database, cluster, model):
    """It would follow what nobody can find."""
    redis = RedisServer(tmp_path / "redis")
    try:
        # each question to a Redis that is away waits so long
        stack = start_stack(**settings(database, REDIS_URL=redis.url, REDIS_TIMEOUT_MS=500, BREAKER_DATABASE="off",
                                       BREAKER_REDIS="off"))
        ada = somebody(stack, "nowhere")
        database.sql("update users set role = 'admin'")
        ada.sign_in()
        told = answered(ada)
        take_nothing(cluster, database)
        redis.kill()
        script = model.script(mock.stream(mock.text("x"), mock.gate("go")))
        exchange = ada.bearer("POST", "/api/chat", chat_body(script, conversation_id=told["conversation_id"]))
        assert exchange.next_event()["bakame"]["saved"] is False
        redis.start()
        wait_until(lambda: ada.bearer("GET", "/api/admin/services").json()["redis"]["usable"], 60)
        script.open("go")
        assert exchange.events()[-1] == "[DONE]"
        take_all(cluster, database)
        do_what_waits(tmp_path, redis, database, model)
        assert database.rows("select role from messages order by seq") == [["user"], ["assistant"]]
    finally:
        redis.stop()


def test_a_message_of_any_size_waits_for_the_database(tmp_path, start_stack, database, cluster, model):
    redis = RedisServer(tmp_path / "redis")
    try:
        stack = start_stack(**settings(database, REDIS_URL=redis.url, REDIS_TIMEOUT_MS=30000, BREAKER_DATABASE="off"))
        ada = somebody(stack, "large")
        take_nothing(cluster, database)
        large = "Muraho. " * 130_000            # nearly as much as a request may have
        assert answered(ada, large)["queued"] is True
        take_all(cluster, database)
        do_what_waits(tmp_path, redis, database, model)
        assert database.rows("select role, length(text), content #>> '{}' = text from messages order by seq")[0] == [
            "user", str(len(large)), "t"]
    finally:
        redis.stop()


def test_what_waits_for_the_database_goes_with_its_person(tmp_path, start_stack, database, cluster, model):
    """Whom the database does not know may be one of Supabase who was never here; but not one who was erased since."""
    redis = RedisServer(tmp_path / "redis")
    try:
        stack = start_stack(**settings(database, REDIS_URL=redis.url, REDIS_TIMEOUT_MS=30000, BREAKER_DATABASE="off"))
        ada = somebody(stack, "erased")
        take_nothing(cluster, database)
        assert answered(ada, "ibanga ryanjye")["queued"] is True
        take_all(cluster, database)
        assert ada.bearer("DELETE", "/api/auth/me").status == 204
        do_what_waits(tmp_path, redis, database, model)
        assert database.sql("select count(*) from messages") == "0"
        for key in redis.command("KEYS", "{bakame:queue}:*"):
            assert b"ibanga" not in redis.command("DUMP", key)
    finally:
        redis.stop()


# ---- titles ----

def test_a_job_gives_a_title_but_not_over_a_persons_own(tmp_path, start_stack, database, model):
    redis = RedisServer(tmp_path / "redis")
    try:
        stack = start_stack(**settings(database, REDIS_URL=redis.url))
        queue = Queue(tmp_path, redis, DATABASE_URL=database.url, OPENAI_BASE_URL=model.base_url,
                      OPENAI_MODEL=MODEL, OPENAI_API_KEY="sk-test")
        ada = somebody(stack, "titles")
        refusal = mock.status(400, replies.error("Unsupported parameter: 'max_tokens' is not supported with this model. "
                                                 "Use 'max_completion_tokens' instead."))
        script = model.script(mock.reply(pieces=["first answer"]), refusal, mock.reply(pieces=['"Ikirere cya Kigali."\nmore']))
        told = answered(ada, script)
        other = answered(ada, "a second one")
        ada.bearer("PATCH", "/api/conversations/" + other["conversation_id"], {"title": "My own"})
        wait_until(lambda: queue.left() == 2, what="a job for each")
        queue.start(program=JOBS_PROGRAM)
        queue.wait_done()
        assert opened(ada, told)["title"] == "Ikirere cya Kigali"
        assert opened(ada, other)["title"] == "My own"
        assert ["max_tokens" in json.loads(call["body"]) for call in script.log()] == [False, True, False]
        queue.close()
    finally:
        redis.stop()
