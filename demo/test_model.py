"""The demo model as a client sees it: the real program on a free port of the loopback."""

import http.client
import json
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

MODEL = pathlib.Path(__file__).with_name("model.py")

WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Model:
    """The program, and where it listens."""

    def __init__(self, tokens_per_second):
        command = [str(MODEL), "--tokens-per-second", str(tokens_per_second)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)/v1", self.process.stderr.readline()).group(1))

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body, headers or {})
        return connection.getresponse()

    def chat(self, content, **more):
        messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
        return self.request("POST", "/v1/chat/completions", json.dumps({"messages": messages, **more}))

    def say(self, content, **more):
        """The whole answer of a non-streaming chat: (choice, completion)."""
        response = self.chat(content, **more)
        completion = json.load(response)
        assert response.status == 200, completion
        return completion["choices"][0], completion

    def end(self, signum=signal.SIGTERM):
        self.process.send_signal(signum)
        _, rest = self.process.communicate(timeout=10)
        return self.process.returncode, rest


@pytest.fixture(scope="module")
def model():
    model = Model(tokens_per_second=0)
    yield model
    assert model.end()[0] == 0


def events_of(response):
    return [line[6:].decode().rstrip() for line in response if line.startswith(b"data: ")]


def chunks_of(response):
    events = events_of(response)
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


def text_of(chunks):
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])


def test_models_lists_the_demo(model):
    listed = json.load(model.request("GET", "/v1/models"))
    assert [entry["id"] for entry in listed["data"]] == ["bakame-demo"]


def test_first_answer_says_it_is_a_demo_and_how_to_plug_in_a_real_model(model):
    choice, completion = model.say("Why is the sky blue?")
    for word in ("demo", "OPENAI_API_KEY", "OPENAI_BASE_URL", "Ollama", "vLLM", "llama.cpp"):
        assert word in choice["message"]["content"]
    assert completion["model"] == "bakame-demo"
    assert choice["finish_reason"] == "stop"


def test_second_answer_does_not_repeat_the_notice(model):
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "I am a demo."},
               {"role": "user", "content": "Why is the sky blue?"}]
    choice, _ = model.say(history)
    assert "OPENAI_API_KEY" not in choice["message"]["content"]
    assert "Why is the sky blue?" in choice["message"]["content"]


def test_stream_and_whole_answer_say_the_same(model):
    streamed = text_of(chunks_of(model.chat("Give me a table", stream=True)))
    choice, _ = model.say("Give me a table")
    assert streamed == choice["message"]["content"]
    assert "\n|---|" in streamed


def test_stream_begins_with_the_role_and_ends_with_the_reason(model):
    response = model.chat("Hello", stream=True)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    chunks = chunks_of(response)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"}


def test_usage_is_streamed_only_when_asked_for_and_equals_that_of_the_whole_answer(model):
    plain = chunks_of(model.chat("Hello", stream=True))
    assert not any("usage" in chunk for chunk in plain)
    asked = chunks_of(model.chat("Hello", stream=True, stream_options={"include_usage": True}))
    assert asked[-1]["choices"] == []
    _, whole = model.say("Hello")
    assert asked[-1]["usage"] == whole["usage"]
    assert whole["usage"]["total_tokens"] == whole["usage"]["prompt_tokens"] + whole["usage"]["completion_tokens"]


def test_max_tokens_cuts_the_answer(model):
    choice, completion = model.say("Hello", max_tokens=5)
    assert choice["finish_reason"] == "length"
    assert completion["usage"]["completion_tokens"] == 5


def test_tool_call_whole(model):
    choice, _ = model.say("Will it rain in Huye tomorrow?", tools=[WEATHER_TOOL])
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    call, = choice["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Huye"}


def test_tool_call_streamed_in_pieces_is_the_whole_one(model):
    chunks = chunks_of(model.chat("Will it rain in Addis Ababa?", tools=[WEATHER_TOOL], stream=True))
    deltas = [d for c in chunks for d in c["choices"][0]["delta"].get("tool_calls", [])]
    assert deltas[0]["function"]["name"] == "get_weather" and deltas[0]["id"]
    arguments = "".join(d["function"]["arguments"] for d in deltas)
    assert json.loads(arguments) == {"city": "Addis Ababa"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_answers_from_a_tool_result_and_still_says_it_is_a_demo(model):
    choice, _ = model.say("Will it rain in Huye?", tools=[WEATHER_TOOL])
    history = [{"role": "user", "content": "Will it rain in Huye?"}, choice["message"],
               {"role": "tool", "tool_call_id": choice["message"]["tool_calls"][0]["id"],
                "content": json.dumps({"city": "Huye", "temperature_c": 21})}]
    answer, _ = model.say(history, tools=[WEATHER_TOOL])
    assert "- **temperature c**: 21" in answer["message"]["content"]
    assert "OPENAI_API_KEY" in answer["message"]["content"]
    assert answer["finish_reason"] == "stop"


def test_natural_pace():
    model = Model(tokens_per_second=100)
    started = time.monotonic()
    chunks = chunks_of(model.chat("Why?", stream=True))
    elapsed = time.monotonic() - started
    model.end()
    assert 0.8 * len(chunks) / 100 < elapsed < 5 * len(chunks) / 100


def test_kept_connection_serves_several_requests(model):
    connection = http.client.HTTPConnection("127.0.0.1", model.port, timeout=10)
    for _ in range(3):
        connection.request("POST", "/v1/chat/completions", json.dumps({"messages": [{"role": "user", "content": "Hi"}]}))
        response = connection.getresponse()
        assert response.status == 200
        response.read()
        socket_used = connection.sock
        assert socket_used is not None
    connection.request("GET", "/v1/models")
    assert connection.getresponse().status == 200
    assert connection.sock is socket_used


@pytest.mark.parametrize("body", [
    "", "{", "[]", "{}", '{"messages":[]}', '{"messages":["hi"]}', '{"messages":"hi"}', "[" * 100_000, b"\xff\xfe",
])
def test_bad_bodies_are_400_and_the_connection_lives(model, body):
    connection = http.client.HTTPConnection("127.0.0.1", model.port, timeout=10)
    connection.request("POST", "/v1/chat/completions", body)
    response = connection.getresponse()
    assert response.status == 400
    assert json.load(response)["error"]["type"] == "invalid_request_error"
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200


def test_a_message_of_an_odd_shape_is_an_error_and_the_server_lives(model):
    response = model.chat([{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": 7}])
    assert response.status == 500
    assert model.request("GET", "/health").status == 200


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/nowhere", 404), ("GET", "/v1/chat/completions", 405), ("POST", "/v1/models", 405), ("GET", "/v1/models/gpt", 404),
])
def test_wrong_path_or_method(model, method, path, status):
    assert model.request(method, path).status == status


def raw(model, request):
    with socket.create_connection(("127.0.0.1", model.port), timeout=10) as client:
        client.sendall(request)
        return client.makefile("rb").readline()


@pytest.mark.parametrize("request_bytes, status", [
    (b"nonsense\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
    (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
])
def test_requests_out_of_bounds_are_refused(model, request_bytes, status):
    assert raw(model, request_bytes).split()[1] == str(status).encode()


def test_client_that_leaves_ends_its_stream_and_each_request_is_one_log_line():
    model = Model(tokens_per_second=20)
    body = json.dumps({"messages": [{"role": "user", "content": "Why?"}], "stream": True})
    connection = http.client.HTTPConnection("127.0.0.1", model.port, timeout=10)
    connection.request("POST", "/v1/chat/completions", body)
    response = connection.getresponse()
    response.readline()
    response.close()
    connection.close()
    line = model.process.stderr.readline()
    assert re.search(r"POST /v1/chat/completions \(cut off\) 200 \d+ ms$", line.rstrip())
    assert model.request("GET", "/v1/models").status == 200
    assert re.search(r"GET /v1/models 200 \d+ ms$", model.process.stderr.readline().rstrip())
    model.end()


def test_sigterm_ends_running_streams_and_the_program():
    model = Model(tokens_per_second=5)
    response = model.chat("Why?", stream=True)
    response.readline()
    started = time.monotonic()
    code, rest = model.end()
    assert code == 0
    assert time.monotonic() - started < 2
    assert "ended" in rest.splitlines()[-1]


def test_busy_port_is_one_line_with_the_remedy(model):
    second = subprocess.run([str(MODEL), "--port", str(model.port)], capture_output=True, text=True, timeout=10, check=False)
    assert second.returncode == 1
    line, = second.stderr.splitlines()
    assert str(model.port) in line and "choose another --port" in line
