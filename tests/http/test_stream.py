"""A streamed chat: the form of each event, and when it arrives."""
import json

import replies
from client import END, text_of
from contract import REQUEST_ID, is_chunk
from fcgi import request, params_of
from script import DONE, FINISH, event, gate, head, reply, repeat, stream, text
from stack import API_KEY, MODEL, chat_body


def test_stream_has_the_headers_of_the_contract(shared_stack):
    exchange = shared_stack.chat()
    assert exchange.status == 200
    assert exchange.header("Content-Type") == "text/event-stream; charset=utf-8"
    assert exchange.header("Cache-Control") == "no-cache, no-transform"
    assert REQUEST_ID.fullmatch(exchange.header("X-Request-Id"))
    assert exchange.header("Content-Length") is None


def test_fronts_are_told_not_to_buffer(shared_stack):
    with shared_stack.fastcgi() as connection:
        body = json.dumps(chat_body()).encode()
        response = connection.ask("POST", "/api/chat", body)
    assert response.headers["x-accel-buffering"] == "no"


def test_stream_is_the_default_and_starts_with_ours(shared_stack):
    exchange = shared_stack.chat()
    first = exchange.next_event()
    assert first["choices"] == []
    assert first["bakame"]["request_id"] == exchange.header("X-Request-Id")


def test_every_event_is_a_chunk_and_the_last_is_done(shared_stack, model):
    pieces = ["Light", " rain", " in Kigali", " tomorrow – ", "🌧", " \"quoted\" \\ \n newline"]
    exchange = shared_stack.chat(model.script(reply(pieces=pieces)), stream=True)
    *chunks, last = exchange.events()
    assert last == "[DONE]"
    assert all(is_chunk(chunk) for chunk in chunks), chunks
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]] == \
        ["", *pieces, None]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]][-1] == "stop"


def test_what_the_model_puts_into_a_choice_arrives_unchanged(shared_stack, model):
    odd = replies.chunk({"content": "x", "reasoning_content": "because", "refusal": None})
    odd["choices"][0]["logprobs"] = {"content": [{"token": "x", "logprob": -0.25, "bytes": [120]}]}
    exchange = shared_stack.chat(model.script(stream(event(odd))))
    assert odd["choices"] in [chunk["choices"] for chunk in exchange.events()[:-1]]


def test_usage_comes_with_the_stream(shared_stack, model):
    *chunks, _ = shared_stack.chat(model.script(reply())).events()
    (usage,) = [chunk for chunk in chunks if chunk.get("usage")]
    assert usage["usage"] == replies.USAGE
    assert usage["choices"] == []
    assert usage is chunks[-1]


def test_each_event_arrives_before_the_model_says_the_next(shared_stack, model):
    steps = [step for number in range(10) for step in (text(f"<{number}>"), gate(f"after{number}"))]
    script = model.script(stream(*steps))
    exchange = shared_stack.chat(script)
    for number in range(10):
        assert exchange.next_text() == f"<{number}>"
        script.open(f"after{number}")
    assert exchange.events()[-1] == "[DONE]"


def test_thousands_of_chunks_arrive_whole_and_in_order(shared_stack, model):
    script = model.script(stream(repeat(5000, text("@N@ "))))
    events = shared_stack.chat(script).events()
    assert text_of(events).split() == [str(number) for number in range(5000)]


def test_events_that_travel_together_stay_apart(shared_stack, model):
    together = "".join(replies.event(replies.text_chunk(f"<{number}>")) for number in range(50))
    script = model.script([head(), ["send", together], FINISH, DONE])
    events = shared_stack.chat(script).events()
    assert [event["choices"][0]["delta"]["content"] for event in events
            if event != "[DONE]" and event["choices"] and event["choices"][0]["delta"]] == \
        [f"<{number}>" for number in range(50)]


def test_the_model_is_asked_what_the_client_asked(shared_stack, model):
    script = model.script(reply())
    messages = [{"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Earlier – “quoted” \\ 🌍"},
                {"role": "assistant", "content": "Yes."},
                {"role": "user", "content": [{"type": "text", "text": script.text("Now")}]}]
    shared_stack.post("/api/chat", {"messages": messages}).events()
    (record,) = script.log()
    assert record["method"] == "POST" and record["path"] == "/v1/chat/completions"
    asked = json.loads(record["body"])
    assert asked["messages"][-4:] == messages
    assert asked["model"] == MODEL
    assert asked["stream"] is True


def test_the_model_gets_our_key_and_nothing_of_the_clients(shared_stack, model):
    script = model.script(reply())
    exchange = shared_stack.chat(script, headers={"Cookie": "theme=dark", "X-Private": "secret"})
    exchange.events()
    headers = script.log()[0]["headers"]
    assert headers["authorization"] == f"Bearer {API_KEY}"
    assert headers["content-type"].startswith("application/json")
    assert "cookie" not in headers and "x-private" not in headers


def test_200_messages_are_a_chat(shared_stack, model):
    script = model.script(reply())
    messages = [{"role": "user", "content": f"number {number}"} for number in range(199)]
    messages.append({"role": "user", "content": script.text()})
    exchange = shared_stack.post("/api/chat", {"messages": messages})
    assert exchange.events()[-1] == "[DONE]"
    assert json.loads(script.log()[0]["body"])["messages"][-200:] == messages


def test_streams_of_one_worker_run_side_by_side(shared_stack, model):
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchanges = [shared_stack.chat(script) for _ in range(40)]
    assert [exchange.next_text() for exchange in exchanges] == ["one"] * 40
    script.open("go")
    for exchange in exchanges:
        assert exchange.next_text() == "two"
        assert exchange.events()[-1] == "[DONE]"


def test_nothing_follows_done(shared_stack, model):
    script = model.script([head(), text("x"), FINISH, DONE, text("late"), DONE])
    exchange = shared_stack.chat(script)
    events = exchange.events()
    assert events.count("[DONE]") == 1 and events[-1] == "[DONE]"
    assert text_of(events) == "x"
    assert exchange.next_event() is END


def test_chats_follow_each_other_on_a_kept_fastcgi_connection(shared_stack):
    body = json.dumps(chat_body()).encode()
    with shared_stack.fastcgi() as connection:
        for _ in range(20):
            connection.send(request(params_of("POST", "/api/chat", body), body, keep=True))
            response = connection.read_response()
            assert response.status == 200
            assert response.body.endswith(b"data: [DONE]\n\n")
