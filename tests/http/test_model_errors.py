"""The model fails before the first byte: each failure has its status, and no key leaks."""
import socket

import pytest

from contract import assert_error, assert_retry_after
from script import FIN, RST, reply, send, status
from stack import API_KEY

import replies

NOT_FOUND = replies.error("The model `mock-model` does not exist", "invalid_request_error", "model_not_found")

# behaviour of the model: (type of our error, whether Retry-After must be there)
FAILURES = {
    "400": (status(400, replies.error("temperature: must be at most 2")), "invalid_request", False),
    "401": (status(401, replies.error(f"Incorrect API key provided: {API_KEY}")), "upstream_error", False),
    "403": (status(403, replies.error(f"{API_KEY} may not do this")), "upstream_error", False),
    "404 model_not_found": (status(404, NOT_FOUND), "unprocessable", False),
    "429": (status(429), "service_unavailable", True),
    "500": (status(500), "upstream_error", False),
    "502": (status(502), "upstream_error", False),
    "503": (status(503), "service_unavailable", True),
    "html error page": (status(502, "<html><h1>Bad Gateway</h1></html>", content_type="text/html"),
                        "upstream_error", False),
    "html instead of an answer": (status(200, "<html>Welcome</html>", content_type="text/html"),
                                  "upstream_error", False),
    "redirect": (status(302, "", {"Location": "/v1/models"}), "upstream_error", False),
    "no HTTP at all": ([["raw", "SSH-2.0-OpenSSH_9.2\r\n\r\n"], FIN], "upstream_error", False),
    "closed at once": ([FIN], "upstream_error", False),
    "reset at once": ([RST], "upstream_error", False),
}


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "completion"])
@pytest.mark.parametrize("failure", FAILURES)
def test_failure_has_its_status(stack, model, failure, streaming):
    behaviour, kind, retry_after = FAILURES[failure]
    exchange = stack.chat(model.script(behaviour), stream=streaming)
    assert exchange.header("Content-Type").startswith("application/json")
    message = assert_error(exchange, kind)
    assert API_KEY not in message and "<html" not in message
    if retry_after:
        assert_retry_after(exchange)
    stack.assert_serves()


def test_a_bad_request_keeps_the_message_of_the_model(stack, model):
    behaviour = FAILURES["400"][0]
    assert "temperature: must be at most 2" in assert_error(stack.v1(model.script(behaviour)), "invalid_request")


def test_a_long_retry_after_of_the_model_is_passed_on(stack, model):
    exchange = stack.chat(model.script(status(429, headers={"Retry-After": "60"})))
    assert_error(exchange, "service_unavailable")
    assert int(exchange.header("Retry-After")) >= 55


def test_a_redirect_is_not_followed(stack, model):
    target = model.script(reply(), name="GET /v1/elsewhere")
    stack.chat(model.script(status(302, "", {"Location": model.base_url + "/elsewhere"}))).read()
    assert target.log() == []


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "completion"])
def test_nobody_listens_is_502_in_time(start_stack, streaming):
    stack = start_stack(OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    exchange = stack.chat(stream=streaming)
    assert_error(exchange, "upstream_error")
    assert_retry_after(exchange)


def test_a_host_that_does_not_exist_is_502(start_stack):
    stack = start_stack(OPENAI_BASE_URL="http://model.invalid/v1", OPENAI_CONNECT_TIMEOUT_MS=2000)
    exchange = stack.chat()
    assert exchange.status in (502, 504)
    assert_retry_after(exchange)


def test_a_host_that_does_not_accept_is_an_error_in_time(start_stack):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        stack = start_stack(OPENAI_BASE_URL=f"http://127.0.0.1:{address[1]}/v1", OPENAI_CONNECT_TIMEOUT_MS=300)
        exchange = stack.chat()
        assert exchange.status in (502, 504)
        assert_retry_after(exchange)
        for filler in fillers:
            filler.close()


def test_a_completion_that_is_not_json_is_502(stack, model):
    exchange = stack.chat(model.script(status(200, '{"choices": [')), stream=False)
    assert_error(exchange, "upstream_error")


NO_COMPLETIONS = {
    "an error": '{"error": {"message": "CUDA out of memory", "code": 500}}',
    "an error in words": '{"error": "CUDA out of memory"}',
    "no choices": '{"id": "x", "object": "chat.completion"}',
    "choices that are null": '{"choices": null}',
    "choices without one": '{"choices": []}',
    "choices that are none": '{"choices": ["Hello"]}',
    "not UTF-8": b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "\xff"}, "finish_reason": "stop"}]}',
}


@pytest.mark.parametrize("body", NO_COMPLETIONS.values(), ids=NO_COMPLETIONS)
def test_what_is_no_completion_is_502_though_its_status_be_200(stack, model, body):
    data = body if isinstance(body, bytes) else body.encode()
    said = [["head", 200, [["Content-Type", "application/json"], ["Content-Length", str(len(data))]]], send(data), FIN]
    message = assert_error(stack.v1(model.script(said)), "upstream_error")
    assert ("out of memory" in message) == (b"out of memory" in data)
    stack.assert_serves()


def test_a_completion_cut_short_is_502(stack, model):
    cut = [["head", 200, [["Content-Type", "application/json"], ["Content-Length", "5000"]]],
           ["send", '{"id":"x","choices":[{"index":0,'], FIN]
    assert_error(stack.chat(model.script(cut), stream=False), "upstream_error")
