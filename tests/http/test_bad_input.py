"""Bad input: a clear answer, and the worker lives and serves the next one."""
import http.client
import json
import re
import threading

import pytest

from contract import assert_error
from script import reply

MIB = 1 << 20
PATHS = ["/api/chat", "/v1/chat/completions"]
USER = {"role": "user", "content": "Hello"}
GOOD = {"model": "mock-model", "messages": [USER]}


def with_messages(*messages, **more):
    return {**GOOD, "messages": list(messages), **more}


def body_of_size(size):
    start, end = b'{"model":"mock-model","messages":[{"role":"user","content":"', b'"}]}'
    return start + b"x" * (size - len(start) - len(end)) + end


@pytest.fixture
def living(shared_stack):
    yield shared_stack
    shared_stack.assert_serves()


both_paths = pytest.mark.parametrize("path", PATHS)

NOT_JSON = {
    "text": (b"hello", 0),
    "cut short": (b'{"messages":[{"role":"user"', None),
    "trailing text": (b'{"messages":[]} x', 16),
    "two objects": (b'{"messages":[]}{"messages":[]}', 15),
    "trailing comma": (b'{"messages":[],}', None),
    "single quotes": (b"{'messages':[]}", 1),
    "comment": (b'{"messages":[]/* hi */}', 14),
    "NaN": (b'{"messages":[],"temperature":NaN}', None),
    "leading zero": (b'{"messages":[],"n":01}', None),
    "unquoted key": (b'{messages:[]}', 1),
    "control character in a string": (b'{"model":"a\nb","messages":[]}', None),
    "lone invalid utf-8": (b'{"messages":[{"role":"user","content":"\xff\xfe"}]}', None),
    "cut utf-8": (b'{"messages":[{"role":"user","content":"\xe2\x82"}]}', None),
    "overlong utf-8": (b'{"messages":[{"role":"user","content":"\xc0\xaf"}]}', None),
    "utf-8 surrogate": (b'{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}', None),
    "raw NUL in a string": (b'{"messages":[{"role":"user","content":"a\0b"}]}', None),
    "raw NUL after the end": (b'{"messages":[{"role":"user","content":"a"}]}\0', None),
    "raw NUL first": (b'\0{"messages":[]}', 0),
    "1,000 arrays deep": (b"[" * 1000 + b"]" * 1000, None),
    "1,000 objects deep": (b'{"a":' * 1000 + b"1" + b"}" * 1000, None),
    "100,000 deep and open": (b"[" * 100_000, None),
    "utf-16": ('{"messages":[]}'.encode("utf-16"), None),
}


@both_paths
@pytest.mark.parametrize("fault", NOT_JSON)
def test_what_is_not_json_is_400_with_the_offset(living, path, fault):
    body, offset = NOT_JSON[fault]
    message = assert_error(living.post(path, body), "invalid_request")
    told = [int(number) for number in re.findall(r"\d+", message)]
    assert told, f"no offset in {message!r}"
    assert any(number <= len(body) + 1 for number in told), message
    if offset is not None:      # counted from 0 or from 1, at the fault or just after it
        assert any(offset <= number <= offset + 2 for number in told), message


@both_paths
@pytest.mark.parametrize("body", [b"", b"  \n "], ids=["empty", "blank"])
def test_no_body_is_400(living, path, body):
    assert_error(living.post(path, body), "invalid_request")


@both_paths
def test_half_a_surrogate_pair_is_refused_or_replaced(living, model, path):
    """json.loads() of the mock would fail on what is not UTF-8."""
    script = model.script(reply())
    body = json.dumps(with_messages({"role": "user", "content": script.text("\ud800")}))
    exchange = living.post(path, body)
    if exchange.status == 200:
        sent = json.loads(script.log()[0]["body"])["messages"][-1]["content"]
        assert sent.startswith("\ufffd")
    else:
        assert exchange.status in (400, 422)


# body, and the path of the field that must be named
BAD_FIELDS = {
    "array": ([], None),
    "string": ("x", None),
    "number": (1, None),
    "null": (None, None),
    "no messages": ({"model": "mock-model"}, "messages"),
    "messages null": ({**GOOD, "messages": None}, "messages"),
    "messages a string": ({**GOOD, "messages": "Hello"}, "messages"),
    "messages an object": ({**GOOD, "messages": USER}, "messages"),
    "no message at all": (with_messages(), "messages"),
    "201 messages": (with_messages(*[USER] * 201), "messages"),
    "message a string": (with_messages(USER, "Hello"), "messages[1]"),
    "message null": (with_messages(USER, None), "messages[1]"),
    "no role": (with_messages({"content": "Hello"}), "messages[0].role"),
    "unknown role": (with_messages(USER, {"role": "wizard", "content": "x"}), "messages[1].role"),
    "role in capitals": (with_messages({"role": "USER", "content": "x"}), "messages[0].role"),
    "role a number": (with_messages({"role": 1, "content": "x"}), "messages[0].role"),
    "no content": (with_messages(USER, USER, {"role": "user"}), "messages[2].content"),
    "content null": (with_messages({"role": "user", "content": None}), "messages[0].content"),
    "content a number": (with_messages(USER, USER, {"role": "user", "content": 5}), "messages[2].content"),
    "content an object": (with_messages({"role": "user", "content": {"text": "x"}}), "messages[0].content"),
    "content part a string": (with_messages({"role": "user", "content": ["x"]}), "messages[0].content[0]"),
    "content part without type": (with_messages({"role": "user", "content": [{"text": "x"}]}), "messages[0].content[0]"),
    "text part without text": (with_messages({"role": "user", "content": [{"type": "text", "text": 5}]}),
                               "messages[0].content[0].text"),
    "content with an escaped NUL": (with_messages({"role": "user", "content": "a\0b"}), None),
    "stream a string": ({**GOOD, "stream": "yes"}, "stream"),
    "stream a number": ({**GOOD, "stream": 1}, "stream"),
    "model a number": ({**GOOD, "model": 5}, "model"),
    "model empty": ({**GOOD, "model": ""}, "model"),
    "model with an escaped NUL": ({**GOOD, "model": "mock-model\0x"}, None),
}


@both_paths
@pytest.mark.parametrize("fault", BAD_FIELDS)
def test_a_bad_field_is_named_by_its_path(living, path, fault):
    body, field = BAD_FIELDS[fault]
    exchange = living.post(path, json.dumps(body))
    assert exchange.status in (400, 422)
    message = assert_error(exchange, "invalid_request" if exchange.status == 400 else "unprocessable")
    assert field is None or field in message


@pytest.mark.parametrize("tools", [5, "weather", {"weather": True}, [5], None])
def test_tools_of_a_wrong_type_are_named(living, tools):
    exchange = living.post("/api/chat", {**GOOD, "tools": tools})
    if tools is None and exchange.status == 200:
        return      # null may stand for "not given"
    assert exchange.status in (400, 422)
    assert "tools" in exchange.json()["error"]["message"]


DAMAGED = {
    "number out of range": b'{"model":"mock-model","messages":[{"role":"user","content":"x"}],"temperature":1e999}',
    "negative number out of range": b'{"model":"mock-model","messages":[{"role":"user","content":"x"}],"top_p":-1e999}',
    "duplicate keys": b'{"model":"mock-model","messages":[{"role":"user","content":"x"}],'
                      b'"messages":[{"role":"user","content":"y"}]}',
    "duplicate keys deeper": b'{"model":"mock-model","messages":[{"role":"user","content":"x","content":"y"}]}',
    "duplicate keys, one escaped": b'{"model":"mock-model","messages":[{"role":"user","content":"x","c\\u006fntent":"y"}]}',
    "key with an escaped NUL": b'{"model":"mock-model","messages":[{"role":"user","content":"x"}],"a\\u0000b":1}',
}


@both_paths
@pytest.mark.parametrize("fault", DAMAGED)
def test_json_that_means_nothing_certain_is_refused(living, path, fault):
    exchange = living.post(path, DAMAGED[fault])
    assert exchange.status in (400, 422), exchange.read()
    assert_error(exchange, "invalid_request" if exchange.status == 400 else "unprocessable")


@both_paths
def test_an_unknown_model_is_422(living, path):
    message = assert_error(living.post(path, {**GOOD, "model": "no-such-model"}), "unprocessable")
    assert "model" in message and "no-such-model" in message


@both_paths
def test_a_body_of_1_mib_is_taken_and_one_byte_more_is_413(living, path):
    assert living.post(path, body_of_size(MIB)).status == 200
    assert_error(living.post(path, body_of_size(MIB + 1)), "payload_too_large")


@both_paths
def test_a_body_of_20_mib_is_413(living, path):
    assert_error(living.post(path, body_of_size(20 * MIB)), "payload_too_large")


METHODS = [("GET", "/api/chat", "POST"), ("PUT", "/api/chat", "POST"), ("DELETE", "/v1/chat/completions", "POST"),
           ("GET", "/v1/chat/completions", "POST"), ("POST", "/v1/models", "GET"), ("POST", "/api/health/live", "GET"),
           ("DELETE", "/api/health/ready", "GET"), ("BREW", "/api/chat", "POST"), ("OPTIONS", "/api/chat", "POST")]


@pytest.mark.parametrize("method,path,allowed", METHODS)
def test_a_wrong_method_is_405_with_allow(living, method, path, allowed):
    exchange = living.request(method, path)
    if method == "OPTIONS" and exchange.status in (200, 204):
        assert allowed in exchange.header("Allow")      # OPTIONS may be answered as RFC 9110 has it
        return
    assert_error(exchange, "method_not_allowed")
    assert allowed in [name.strip() for name in exchange.header("Allow").split(",")]


@both_paths
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                                          "application/jsonp", "application/xml; charset=utf-8", "json"])
def test_a_wrong_content_type_is_415(living, path, content_type):
    assert_error(living.post(path, GOOD, content_type=content_type), "unsupported_media_type")


@both_paths
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8",
                                          "Application/JSON", "application/json ; charset=\"utf-8\""])
def test_json_by_any_legal_name_is_taken(living, path, content_type):
    assert living.post(path, GOOD, content_type=content_type).status == 200


@pytest.mark.parametrize("path", ["/nowhere", "/api", "/api/", "/api/chat/", "/api/chatter", "/api/chat/x", "/v1", "/v1/model",
                                  "/API/CHAT", "/api/health/liveness", "/api/%63hatt", "//api/chat/../x"])
def test_an_unknown_path_is_404(living, path):
    assert_error(living.get(path), "not_found")


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_compressed_body_is_refused(living, encoding):
    exchange = living.post("/api/chat", b"\x1f\x8b\x08\0\0\0\0\0", headers={"Content-Encoding": encoding})
    assert exchange.status in (400, 415)


def test_bad_requests_leave_a_kept_connection_usable(living):
    good = json.dumps(GOOD).encode()
    with living.fastcgi() as connection:
        for body, status in ((b"{", 400), (good, 200), (b"x" * (MIB + 100), 413), (good, 200), (b"[]", 400), (good, 200)):
            response = connection.ask("POST", "/api/chat", body, keep=True)
            assert response.status == status or (status == 400 and response.status == 422)


def test_bad_and_good_requests_at_once(living, model):
    script = model.script(reply())
    statuses = []

    def ask(body):
        connection = http.client.HTTPConnection("127.0.0.1", living.front.port, timeout=120)
        connection.request("POST", "/api/chat", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        statuses.append((body, answer.status))
        connection.close()
    good = json.dumps({"messages": [{"role": "user", "content": script.text()}]})
    bodies = [good, "{", "[" * 5000, '{"messages":5}'] * 15
    threads = [threading.Thread(target=ask, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == 60
    assert all((status == 200) == (body == good) for body, status in statuses)
