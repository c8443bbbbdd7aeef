"""FastCGI as web servers send it, and as none would: the worker answers or hangs up, and lives."""
import json
import random
import time

import pytest

import fcgi
from fcgi import PARAMS, STDIN, begin, name_values, params_of, record, request, stream
from script import HANG, reply
from script import stream as model_stream
from script import text
from stack import chat_body
from worker import has_sanitizers

KIB = 1024


@pytest.fixture
def living(shared_stack):
    """The shared worker must serve others after whatever a test did to it."""
    yield shared_stack
    shared_stack.assert_serves()


def chat_request(script, **params):
    body = json.dumps(chat_body(script)).encode()
    return params_of("POST", "/api/chat", body, **params), body


def test_response_is_framed_as_the_protocol_says(living):
    with living.fastcgi() as connection:
        response = connection.ask("GET", "/api/health/live")
    assert (response.app_status, response.protocol_status, response.stderr) == (0, fcgi.REQUEST_COMPLETE, b"")
    assert response.headers["content-type"].startswith("application/json")
    assert json.loads(response.body) == {"status": "alive"}


def test_connection_is_closed_unless_it_is_to_be_kept(living):
    with living.fastcgi() as connection:
        connection.ask("GET", "/api/health/live")
        assert connection.closed_by_worker()


def test_a_kept_connection_serves_many(living):
    with living.fastcgi() as connection:
        for _ in range(500):
            assert connection.ask("GET", "/api/health/live", keep=True).status == 200


def test_idle_kept_connections_do_not_hold_up_others(living):
    connections = [living.fastcgi() for _ in range(50)]
    for connection in connections:
        assert connection.ask("GET", "/api/health/live", keep=True).status == 200
    living.assert_serves()
    for connection in connections:
        assert connection.ask("GET", "/api/health/live", keep=True).status == 200
        connection.close()


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_records_may_be_small(living, model, size):
    params, body = chat_request(model.script(reply()))
    with living.fastcgi() as connection:
        connection.send(request(params, body, size=size))
        assert connection.read_response().body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("padding", [1, 7, 255])
def test_records_may_be_padded(living, model, padding):
    params, body = chat_request(model.script(reply()))
    with living.fastcgi() as connection:
        connection.send(request(params, body, size=50, padding=padding))
        assert connection.read_response().body.endswith(b"data: [DONE]\n\n")


def test_a_request_may_come_byte_by_byte(living, model):
    params, body = chat_request(model.script(reply()))
    with living.fastcgi() as connection:
        for byte in request(params, body):
            connection.send(bytes([byte]))
        assert connection.read_response().body.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("received", [0, 1, 7, 8, 12, 16, 20, 60])
def test_who_stops_inside_the_head_does_not_hold_up_others(living, received):
    head = request(params_of("GET", "/api/health/live"))
    with living.fastcgi() as stuck:
        stuck.send(head[:received])
        time.sleep(0.05)
        with living.fastcgi() as other:
            assert other.ask("GET", "/api/health/live").status == 200
        stuck.send(head[received:])
        assert stuck.read_response().status == 200


def test_who_stops_inside_a_later_head_does_not_hold_up_others(living):
    head = request(params_of("GET", "/api/health/live"), keep=True)
    with living.fastcgi() as stuck:
        assert stuck.ask("GET", "/api/health/live", keep=True).status == 200
        stuck.send(head[:20])
        time.sleep(0.05)
        with living.fastcgi() as other:
            assert other.ask("GET", "/api/health/live").status == 200
        stuck.send(head[20:])
        assert stuck.read_response().status == 200


def test_management_records_do_not_disturb(living):
    with living.fastcgi() as connection:
        connection.send(record(fcgi.GET_VALUES, name_values({"FCGI_MAX_CONNS": ""}), request_id=0))
        connection.send(request(params_of("GET", "/api/health/live")))
        kind, _ = connection.read_record()
        if kind == 10:      # its answer
            assert connection.read_response().status == 200
        else:
            assert kind == fcgi.STDOUT


def test_abort_in_the_middle_cancels_upstream(living, model):
    script = model.script(model_stream(text("one"), HANG))
    params, body = chat_request(script)
    with living.fastcgi() as connection:
        connection.send(request(params, body))
        connection.read_stdout(until=b"one")
        connection.send(record(fcgi.ABORT_REQUEST))
    script.wait("gone")


def test_who_leaves_inside_the_body_costs_nothing(living, model):
    script = model.script(reply())
    params, body = chat_request(script)
    with living.fastcgi() as connection:
        connection.send(begin() + stream(PARAMS, name_values(params)) + stream(STDIN, body[:20], end=False))
        time.sleep(0.05)
    time.sleep(0.2)
    assert script.log() == []


def test_a_body_shorter_than_promised_is_refused(living, model):
    script = model.script(reply())
    params, body = chat_request(script)
    params["CONTENT_LENGTH"] = str(len(body) + 10)
    with living.fastcgi() as connection:
        connection.send(request(params, body))
        assert connection.read_response().status == 400
    assert script.log() == []


@pytest.mark.parametrize("length", [None, ""])
def test_a_body_without_a_length_ends_where_it_ends(living, model, length):
    """Apache passes chunked bodies on like this."""
    params, body = chat_request(model.script(reply()), CONTENT_LENGTH=length)
    with living.fastcgi() as connection:
        connection.send(request(params, body))
        assert connection.read_response().status == 200


@pytest.mark.parametrize("length", ["abc", "-1", "0x10", "99999999999999999999999", "1e3", " 12 x"])
def test_a_senseless_length_is_refused_or_passed_over(living, length):
    params, body = chat_request("Hello", CONTENT_LENGTH=length)
    with living.fastcgi() as connection:
        connection.send(request(params, body))
        assert connection.read_response().status in (200, 400, 413)


def test_a_body_without_a_length_is_bounded_too(living):
    body = b'{"messages":[{"role":"user","content":"' + b"x" * (2 << 20) + b'"}]}'
    params, _ = chat_request("Hello", CONTENT_LENGTH=None)
    with living.fastcgi() as connection:
        connection.send(begin() + stream(PARAMS, name_values(params)))
        try:
            connection.send(stream(STDIN, body))
        except ConnectionError:
            pass            # it need not read what it refuses
        assert connection.read_response().status == 413


def test_slow_bodies_do_not_hold_up_others(living, model):
    script = model.script(reply())
    params, body = chat_request(script)
    slow = [living.fastcgi() for _ in range(20)]
    for connection in slow:
        connection.send(begin() + stream(PARAMS, name_values(params)))
    for start in range(0, len(body), 16):
        for connection in slow:
            connection.send(record(STDIN, body[start:start + 16]))
        with living.fastcgi() as other:
            assert other.ask("GET", "/api/health/live").status == 200
    for connection in slow:
        connection.send(record(STDIN))
        assert connection.read_response().body.endswith(b"data: [DONE]\n\n")
        connection.close()


def test_parameters_of_64_kib_are_borne(living):
    more = {f"HTTP_X_FILLER_{number}": "x" * KIB for number in range(63)}
    with living.fastcgi() as connection:
        assert connection.ask("GET", "/api/health/live", **more).status == 200


OVERSIZE = {"one of 16 MB": [("HTTP_X_FILLER", b"x" * (16 << 20))],
            "100,000 of them": [(f"HTTP_X_{number}", "x" * 100) for number in range(100_000)]}


def send_oversize(stack, pairs):
    with stack.fastcgi() as connection:
        try:
            connection.send(request(list(params_of("GET", "/api/health/live").items()) + pairs))
            connection.read_response()
        except (EOFError, ConnectionError):
            pass            # hanging up is an answer too
    stack.assert_serves()


@pytest.mark.parametrize("oversize", OVERSIZE)
def test_oversize_parameters_do_not_add_up(living, oversize):
    for _ in range(3):      # until malloc has what it keeps
        send_oversize(living, OVERSIZE[oversize])
    before = living.worker.memory()
    for _ in range(4):
        send_oversize(living, OVERSIZE[oversize])
    if not has_sanitizers():
        assert living.worker.memory() - before < 4 << 20


def test_the_first_of_a_repeated_parameter_counts(living):
    pairs = list(params_of("GET", "/api/health/live").items()) + [("REQUEST_URI", "/nowhere")]
    with living.fastcgi() as connection:
        connection.send(request(pairs))
        assert connection.read_response().status == 200


@pytest.mark.parametrize("missing", ["REQUEST_METHOD", "REQUEST_URI", "SCRIPT_NAME", "QUERY_STRING",
                                     "REMOTE_ADDR", "SERVER_PROTOCOL"])
def test_a_missing_parameter_is_borne(living, missing):
    with living.fastcgi() as connection:
        response = connection.ask("GET", "/api/health/live", **{missing: None})
    assert response.status in (200, 400, 404, 405)


GARBAGE = {
    "text": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "zeros": b"\0" * 4096,
    "ones": b"\xff" * 4096,
    "version 9": record(fcgi.BEGIN_REQUEST, b"\0\1\0\0\0\0\0\0", version=9),
    "unknown type": record(99, b"x" * 100),
    "role of an authorizer": begin(role=2) + stream(PARAMS, b"") + stream(STDIN, b""),
    "parameters before the beginning": stream(PARAMS, name_values({"REQUEST_METHOD": "GET"})),
    "no parameters": begin() + stream(PARAMS, b"") + stream(STDIN, b""),
    "parameter longer than the rest": begin() + stream(PARAMS, b"\x7f\x7fshort") + stream(STDIN, b""),
    "parameter of 2 GiB": begin() + stream(PARAMS, b"\xff\xff\xff\xff\xff\xff\xff\xffx") + stream(STDIN, b""),
    "begun twice": begin() + begin() + stream(PARAMS, b"") + stream(STDIN, b""),
    "other request id": begin() + record(PARAMS, b"", request_id=7) + record(STDIN, b"", request_id=7),
    "short beginning": record(fcgi.BEGIN_REQUEST, b"\0\1") + stream(PARAMS, b"") + stream(STDIN, b""),
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_survived(living, garbage):
    with living.fastcgi() as connection:
        connection.send(GARBAGE[garbage])
        time.sleep(0.05)
    living.assert_serves()


def test_random_damage_is_survived(living):
    """The same damage in every run: a failure can be looked at."""
    numbers = random.Random(20260101)
    params, body = chat_request("Hello")
    whole = bytearray(request(params, body))
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(numbers.randint(1, 8)):
            damaged[numbers.randrange(len(damaged))] = numbers.randrange(256)
        with living.fastcgi() as connection:
            connection.send(bytes(damaged[:numbers.randint(1, len(damaged))]))
    with living.fastcgi() as connection:
        assert connection.ask("GET", "/api/health/live").status == 200
