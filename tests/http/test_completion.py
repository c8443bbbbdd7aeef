"""A chat that is not streamed: one chat.completion object."""
import json

import pytest

import replies
from contract import REQUEST_ID
from script import gate, reply

PATHS = ["/api/chat", "/v1/chat/completions"]


@pytest.mark.parametrize("path", PATHS)
def test_answer_is_one_completion(shared_stack, model, path):
    exchange = shared_stack.chat(model.script(reply()), path=path, model="mock-model", stream=False)
    completion = exchange.json()
    assert exchange.status == 200, completion
    assert exchange.header("Content-Type").startswith("application/json")
    assert REQUEST_ID.fullmatch(exchange.header("X-Request-Id"))
    assert completion["object"] == "chat.completion"
    assert completion["id"] and isinstance(completion["created"], int)
    assert completion["model"] == "mock-model"
    choice = completion["choices"][0]
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == "".join(replies.PIECES)
    assert completion["usage"] == replies.USAGE


def test_text_of_any_language_survives(shared_stack, model):
    words = "Ikinyarwanda – “où” 日本語 🌧 \"quoted\" \\ \n\ttab \u0001"
    exchange = shared_stack.chat(model.script(reply(pieces=[words])), stream=False)
    assert exchange.json()["choices"][0]["message"]["content"] == words


def test_a_long_answer_is_whole(shared_stack, model):
    words = "0123456789abcdef" * 20_000
    exchange = shared_stack.chat(model.script(reply(pieces=[words])), stream=False)
    assert exchange.json()["choices"][0]["message"]["content"] == words


def test_finish_reason_of_the_model_is_told(shared_stack, model):
    exchange = shared_stack.chat(model.script(reply(finish_reason="length")), stream=False)
    assert exchange.json()["choices"][0]["finish_reason"] == "length"


def test_many_wait_at_once(shared_stack, model):
    script = model.script([gate("go"), *reply()])
    exchanges = [shared_stack.chat(script, stream=False) for _ in range(40)]
    script.wait("received", count=40)
    script.open("go")
    for exchange in exchanges:
        assert exchange.json()["choices"][0]["message"]["content"] == "".join(replies.PIECES)


def test_chats_follow_each_other_on_a_kept_fastcgi_connection(shared_stack):
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "stream": False}).encode()
    with shared_stack.fastcgi() as connection:
        for _ in range(20):
            response = connection.ask("POST", "/api/chat", body, keep=True)
            assert response.status == 200
            assert json.loads(response.body)["object"] == "chat.completion"
