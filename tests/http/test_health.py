"""Health: alive, and ready to take chats."""
import signal

from contract import assert_error, assert_retry_after
from script import gate, stream, text
from stack import wait_until


def test_live_says_alive(shared_stack):
    exchange = shared_stack.get("/api/health/live")
    assert exchange.status == 200
    assert exchange.json() == {"status": "alive"}
    assert exchange.header("X-Request-Id")


def test_ready_is_200_when_chats_can_be_taken(shared_stack):
    exchange = shared_stack.get("/api/health/ready")
    assert exchange.status == 200
    exchange.json()


def test_head_is_answered_without_a_body(shared_stack):
    exchange = shared_stack.request("HEAD", "/api/health/live")
    assert exchange.status == 200
    assert exchange.read() == b""


def test_health_does_not_ask_the_model(start_stack):
    stack = start_stack(OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert stack.get("/api/health/live").status == 200
    assert stack.get("/api/health/ready").status == 200


def test_not_ready_without_a_model(start_stack):
    stack = start_stack(upstream=None, BAKAME_ENV="development", OPENAI_API_KEY=None)
    exchange = stack.get("/api/health/ready")
    assert exchange.status == 503
    assert stack.get("/api/health/live").status == 200
    chat = stack.chat()
    assert_error(chat, "service_unavailable")
    assert_retry_after(chat)


def test_not_ready_while_draining(start_stack, model):
    """Seen on a connection from before the drain: there are no others any more."""
    stack = start_stack()
    script = model.script(stream(text("x"), gate("go")))
    exchange = stack.chat(script)
    exchange.next_text()
    with stack.fastcgi() as kept:
        assert kept.ask("GET", "/api/health/ready", keep=True).status == 200
        stack.worker.signal(signal.SIGTERM)
        wait_until(lambda: not_ready_or_closed(kept), what="readiness ending")
    script.open("go")
    assert exchange.events()[-1] == "[DONE]"


def not_ready_or_closed(connection):
    try:
        return connection.ask("GET", "/api/health/ready", keep=True).status == 503
    except (EOFError, ConnectionError):
        return True
