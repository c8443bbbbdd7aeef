"""The mock model itself: it does what its scripts say, and sees what it claims to see."""
import http.client
import json
import socket
import threading
import time

import pytest

import replies
from script import (DONE, FIN, FINISH, HANG, RST, MockModel, event, gate, head, repeat, reply, send,
                    status, stream, text)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    mock = MockModel(tmp_path_factory.mktemp("mock") / "mock.err")
    yield mock
    assert mock.stop() == ""


def ask(model, content, connection=None, **members):
    """A chat request; returns the connection and its response."""
    connection = connection or http.client.HTTPConnection(model.host, model.port, timeout=120)
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **members}
    connection.request("POST", "/v1/chat/completions", json.dumps(body),
                       {"Content-Type": "application/json", "Authorization": "Bearer key"})
    return connection, connection.getresponse()


def body_of(model, *steps, **members):
    connection, answer = ask(model, model.script(list(steps)).text(), **members)
    body = answer.read()
    connection.close()
    return body


def events_in(body):
    return [line[6:] for line in body.decode().split("\n") if line.startswith("data: ")]


def test_without_a_script_answers_one_completion(model):
    connection, answer = ask(model, "hello")
    assert answer.status == 200
    assert json.loads(answer.read()) == replies.completion(model="m")
    connection.close()


def test_without_a_script_streams_when_asked(model):
    connection, answer = ask(model, "hello", stream=True)
    *chunks, last = events_in(answer.read())
    assert [json.loads(chunk) for chunk in chunks] == list(replies.stream_chunks(model="m"))
    assert last == "[DONE]"
    connection.close()


def test_usage_comes_only_when_asked_for(model):
    connection, answer = ask(model, "hello", stream=True, stream_options={"include_usage": True})
    assert json.loads(events_in(answer.read())[-2])["usage"] == replies.USAGE
    connection.close()


def test_tool_calls_are_streamed_in_fragments(model):
    calls = [{"id": "call_1", "name": "weather", "arguments": '{"city":"Kigali"}'},
             {"id": "call_2", "name": "time", "arguments": "{}"}]
    connection, answer = ask(model, model.script(reply(tool_calls=calls)).text(), stream=True)
    arguments = {0: "", 1: ""}
    for chunk in map(json.loads, events_in(answer.read())[:-1]):
        for call in chunk["choices"][0]["delta"].get("tool_calls", []):
            arguments[call["index"]] += call["function"]["arguments"]
    assert arguments == {0: '{"city":"Kigali"}', 1: "{}"}
    connection.close()


def test_behaviours_follow_each_other_and_the_last_stays(model):
    script = model.script(status(429, headers={"Retry-After": "3"}), status(500), reply())
    seen = []
    for _ in range(4):
        connection, answer = ask(model, script.text())
        seen.append((answer.status, answer.getheader("Retry-After")))
        answer.read()
        connection.close()
    assert seen == [(429, "3"), (500, None), (200, None), (200, None)]
    assert [record["attempt"] for record in script.log()] == [0, 1, 2, 3]


def test_log_holds_headers_body_and_connection(model):
    script = model.script(reply())
    connection, answer = ask(model, script.text("first"))
    answer.read()
    _, answer = ask(model, script.text("second", tag="t2"), connection)
    answer.read()
    connection.close()
    first, second = script.log()
    assert first["headers"]["authorization"] == "Bearer key"
    assert json.loads(first["body"])["messages"][0]["content"].startswith("first")
    assert (second["tag"], second["connection"]) == ("t2", first["connection"])


def test_a_chunked_request_body_is_read(model):
    script = model.script(reply())
    connection = http.client.HTTPConnection(model.host, model.port, timeout=120)
    connection.request("POST", "/v1/chat/completions", iter([b'{"x":"', script.marker().encode(), b'"}']),
                       encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().read()
    assert json.loads(script.log()[0]["body"]) == {"x": script.marker()}
    connection.close()


def test_gate_holds_the_answer_until_opened(model):
    script = model.script(stream(text("one"), gate("g"), text("two")))
    connection, answer = ask(model, script.text(), stream=True)
    assert b"one" in answer.readline()
    assert script.log()[0]["finished"] is None
    script.open("g")
    assert b"two" in answer.read()
    assert script.wait("finished")
    connection.close()


def test_time_of_the_clients_leaving_is_noted(model):
    script = model.script([HANG])
    connection = http.client.HTTPConnection(model.host, model.port, timeout=120)
    connection.request("POST", "/v1/chat/completions", json.dumps({"x": script.marker()}))
    script.wait("received")
    left = time.monotonic()
    connection.close()
    assert left <= script.wait("gone")[0]["gone"] <= time.monotonic()


def test_waiting_in_vain_fails(model):
    script = model.script(reply())
    with pytest.raises(AssertionError, match="408"):
        script.wait("received", timeout=0.05)


def test_gates_and_logs_of_scripts_are_apart(model):
    one, two = (model.script(stream(gate("g"), text("x"))) for _ in range(2))
    first, _ = ask(model, one.text(), stream=True)
    second, answer = ask(model, two.text(), stream=True)
    two.open("g")
    assert answer.read()
    assert len(one.log()) == len(two.log()) == 1
    assert one.log()[0]["finished"] is None
    first.close()
    second.close()


def test_cut_streams_end_without_the_last_chunk(model):
    connection, answer = ask(model, model.script(stream(text("x"), FIN)).text(), stream=True)
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    connection.close()


def test_reset_is_a_reset(model):
    script = model.script(stream(text("x"), gate("read"), RST))
    connection, answer = ask(model, script.text(), stream=True)
    answer.readline()
    script.open("read")
    with pytest.raises(ConnectionResetError):
        answer.read()
    connection.close()


def test_bytewise_every_byte_travels_alone(model):
    script = model.script([["bytewise", 0], head(), send("data: ü\r\n\r\n")])
    with socket.create_connection((model.host, model.port), timeout=120) as client:
        body = script.marker().encode()
        client.sendall(b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        raw = b""
        while not raw.endswith(b"0\r\n\r\n"):
            raw += client.recv(1)
    framed = b"".join(b"1\r\n%c\r\n" % byte for byte in "data: ü\r\n\r\n".encode())
    assert raw.partition(b"\r\n\r\n")[2] == framed + b"0\r\n\r\n"


def test_repeat_numbers_its_rounds_and_fill_counts_bytes(model):
    assert body_of(model, head(), repeat(3, send("<@N@>")), ["fill", 200_001, "ab"]) == \
        b"<0><1><2>" + b"ab" * 100_000 + b"a"


def test_bytes_need_not_be_text(model):
    assert body_of(model, head(), send(b"\xff\x00")) == b"\xff\x00"


def test_events_have_the_form_of_the_standard(model):
    assert body_of(model, head(), event("a\nb"), FINISH, DONE) == (
        "data: a\ndata: b\n\n" + replies.event(replies.chunk(finish_reason="stop"))
        + "data: [DONE]\n\n").encode()


def test_a_body_without_length_ends_with_the_connection(model):
    assert body_of(model, ["head", 200, []], ["raw", "x"]) == b"x"


def test_the_last_answer_of_a_connection_does_not_say_so(model):
    connection, answer = ask(model, model.script([["last"], *reply()]).text())
    assert answer.getheader("Connection") is None and not answer.will_close
    answer.read()
    assert connection.sock.recv(1) == b""
    connection.close()


def test_a_client_that_never_reads_holds_its_answer_back(model):
    script = model.script([head(), ["fill", 64 << 20, "x"]])
    connection = http.client.HTTPConnection(model.host, model.port, timeout=120)
    connection.request("POST", "/x", script.marker())
    script.wait("received")
    time.sleep(0.5)
    record = script.log()[0]
    assert record["finished"] is None and record["bytes_sent"] < 32 << 20
    connection.close()
    script.wait("gone")


def test_many_at_once(model):
    script = model.script(stream(gate("all"), text("x")))
    answers = []

    def one():
        connection, answer = ask(model, script.text(), stream=True)
        answers.append(answer.read())
        connection.close()
    threads = [threading.Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    script.wait("received", count=50)
    script.open("all")
    for thread in threads:
        thread.join()
    assert len(answers) == 50 and all(b"[DONE]" in answer for answer in answers)
