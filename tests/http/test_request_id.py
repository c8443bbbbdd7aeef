"""The request id: the front's where there is one, the same everywhere."""
import pytest

from contract import REQUEST_ID, UUID4, assert_error

FRONT_ID = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("method,path", [
    ("GET", "/api/health/live"), ("GET", "/api/health/ready"), ("GET", "/v1/models"), ("GET", "/nowhere"),
    ("GET", "/api/chat"), ("POST", "/api/chat"), ("POST", "/v1/chat/completions")])
def test_every_response_carries_one(shared_stack, method, path):
    exchange = shared_stack.request(method, path)
    exchange.read()
    assert REQUEST_ID.fullmatch(exchange.header("X-Request-Id"))


def test_the_fronts_is_taken(shared_stack):
    with shared_stack.fastcgi() as connection:
        response = connection.ask("GET", "/api/health/live", REQUEST_ID=FRONT_ID)
    assert response.headers["x-request-id"] == FRONT_ID


@pytest.mark.parametrize("front_id", [None, ""])
def test_without_one_a_uuid4_is_made(shared_stack, front_id):
    with shared_stack.fastcgi() as connection:
        response = connection.ask("GET", "/api/health/live", REQUEST_ID=front_id)
    assert UUID4.fullmatch(response.headers["x-request-id"])


@pytest.mark.parametrize("hostile", ["a\r\nSet-Cookie: x=1", "a\nb", "x" * 5000, "<script>", "\x01", "\u00fc" * 16])
def test_a_hostile_one_never_reaches_a_header(shared_stack, hostile):
    with shared_stack.fastcgi() as connection:
        response = connection.ask("GET", "/api/health/live", REQUEST_ID=hostile)
    assert response.status == 200
    assert REQUEST_ID.fullmatch(response.headers["x-request-id"])
    assert "set-cookie" not in response.headers


def test_ids_differ(shared_stack):
    ids = set()
    for _ in range(20):
        exchange = shared_stack.get("/api/health/live")
        ids.add(exchange.header("X-Request-Id"))
        exchange.close()
    assert len(ids) == 20


def test_error_and_log_carry_the_same(shared_stack):
    exchange = shared_stack.get("/nowhere")
    assert_error(exchange, "not_found")
    assert shared_stack.log_lines(exchange.header("X-Request-Id"))
