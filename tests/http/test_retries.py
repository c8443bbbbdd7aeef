"""One retry before the first byte, where one can help."""
import email.utils
import socket
import threading
import time

import pytest

from contract import assert_error, assert_retry_after
from script import FIN, gate, reply, status, stream, text
from stack import at_best, took, wait_until

RETRIED = [429, 502, 503]
NOT_RETRIED = [400, 401, 403, 404, 500]


def attempts(script):
    return [record["received"] for record in script.log()]


@pytest.mark.parametrize("streaming", [True, False], ids=["stream", "completion"])
@pytest.mark.parametrize("code", RETRIED)
def test_a_passing_failure_is_not_seen(stack, model, code, streaming):
    script = model.script(status(code), reply())
    exchange = stack.chat(script, stream=streaming)
    assert exchange.status == 200, exchange.read()
    assert len(attempts(script)) == 2


@pytest.mark.parametrize("code", RETRIED)
def test_there_is_one_retry_only(stack, model, code):
    script = model.script(status(code))
    assert stack.chat(script).status in (502, 503)
    assert len(attempts(script)) == 2


@pytest.mark.parametrize("code", NOT_RETRIED)
def test_a_lasting_failure_is_not_retried(stack, model, code):
    script = model.script(status(code))
    assert stack.chat(script).status >= 400
    assert len(attempts(script)) == 1


def test_the_pause_does_not_eat_up_the_time_to_answer(start_stack, model):
    """The model asks for a second and then answers at once: that is not too slow.  Unless it was, on a busy machine."""
    stack = start_stack(OPENAI_FIRST_BYTE_TIMEOUT_MS=500)

    def answered():
        script = model.script(status(429, headers={"Retry-After": "1"}), reply())
        return stack.chat(script).status == 200 and len(attempts(script)) == 2
    wait_until(answered, what="an answer")


def test_nothing_is_retried_once_the_stream_began(stack, model):
    script = model.script(stream(text("one"), FIN, finish=False), reply())
    stack.chat(script).events()
    assert len(attempts(script)) == 1


def test_retries_are_spread_in_time(stack, model):
    """Jitter: clients that failed together do not come back together."""
    script = model.script([gate("fail"), *status(503)])
    exchanges = [stack.chat(script) for _ in range(12)]
    script.wait("received", count=12)
    script.open("fail")
    for exchange in exchanges:
        exchange.read()
    retries = attempts(script)[12:]
    assert len(retries) == 12
    assert max(retries) - min(retries) > 0.02


@pytest.mark.parametrize("code", [429, 503])
def test_a_short_retry_after_is_honoured(stack, model, code):
    def pause():
        script = model.script(status(code, headers={"Retry-After": "1"}), reply())
        assert stack.chat(script).status == 200
        first, second = attempts(script)
        assert second - first >= 1.0
        return second - first
    at_best(pause, 3)


def test_a_retry_after_that_is_a_date_is_honoured(stack, model):
    def late():
        wanted = int(time.time()) + 3
        date = email.utils.formatdate(wanted, usegmt=True)
        script = model.script(status(429, headers={"Retry-After": date}), reply())
        assert stack.chat(script).status == 200
        first, second = attempts(script)
        asked_again = second - time.monotonic() + time.time()
        assert asked_again >= wanted - 1        # whole seconds: up to one is lost
        return asked_again - wanted
    at_best(late, 2)


@pytest.mark.parametrize("retry_after", ["60", "6"])
def test_a_long_retry_after_is_the_clients_to_wait(stack, model, retry_after):
    script = model.script(status(429, headers={"Retry-After": retry_after}), reply())
    asked = []

    def refused():
        asked.append(stack.chat(script))
        assert_error(asked[-1], "service_unavailable")
        assert_retry_after(asked[-1])
    at_best(lambda: took(refused), 2)
    assert len(attempts(script)) == len(asked)


@pytest.mark.parametrize("retry_after", ["soon", "-5", "99999999999999999999", "1.5e9", "", "0"])
def test_a_senseless_retry_after_does_no_harm(stack, model, retry_after):
    script = model.script(status(429, headers={"Retry-After": retry_after}), reply())
    exchange = stack.chat(script)
    assert exchange.status in (200, 503)
    assert 1 <= len(attempts(script)) <= 2
    stack.assert_serves()


def test_a_connection_that_fails_is_tried_again(start_stack):
    """The model comes up between the two attempts, as in a restart of it, unless we are too slow for that."""
    wait_until(lambda: restarting_model_answers(start_stack), 120, "an answer")


def restarting_model_answers(start_stack):
    with socket.socket() as model_socket:
        model_socket.bind(("127.0.0.1", 0))     # bound but not listening: connections are refused
        stack = start_stack(OPENAI_BASE_URL=f"http://127.0.0.1:{model_socket.getsockname()[1]}/v1")
        exchange = stack.chat(stream=False)
        wait_until(lambda: "asking the model again" in stack.worker.stderr(), what="the end of the first attempt")
        model_socket.listen()
        answering = threading.Thread(target=answer_one, args=(model_socket,))
        answering.start()
        answered = exchange.status == 200
        model_socket.shutdown(socket.SHUT_RDWR)     # ends an accept that nobody came for
        answering.join()
        return answered


def answer_one(listener):
    listener.settimeout(120)
    try:
        connection, _ = listener.accept()
    except OSError:
        return
    with connection:
        connection.recv(65536)
        body = b'{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,' \
               b'"message":{"role":"assistant","content":"up"},"finish_reason":"stop"}]}'
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                           b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def test_a_kept_connection_that_the_model_closed_is_not_a_failure(stack, model):
    """Models close idle connections; the next request just takes a new one."""
    script = model.script(reply())
    for _ in range(5):
        closing = model.script([["last"], *reply()])
        assert stack.chat(closing).events()[-1] == "[DONE]"
        assert stack.chat(script).events()[-1] == "[DONE]"


def test_who_leaves_while_a_retry_waits_is_not_retried(stack, model):
    def left_in_time():
        """Unless it took longer than the pause to leave."""
        script = model.script(status(429, headers={"Retry-After": "1"}), reply())
        exchange = stack.chat(script)
        script.wait("finished")
        time.sleep(0.1)
        exchange.leave()
        time.sleep(2)
        stack.assert_serves()
        return len(attempts(script)) == 1
    wait_until(left_in_time, what="a call that is not tried again")
