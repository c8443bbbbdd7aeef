"""GET /api/health: how what we depend on is, looked at seldom however many ask."""
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from script import status
from stack import wait_until

# For so long all take what one found, or wait for one who looks: src/handlers/health_probe.c.
SHARED_SECONDS = 4


class ModelsServer:
    """Only GET /v1/models: counts, and answers with `status`, or hangs until it is let go."""

    def __init__(self):
        self.count = 0
        self.status = 200
        self.go = threading.Event()
        self.go.set()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner.count += 1
                owner.go.wait(300)
                self.send_response(owner.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.base_url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def models():
    server = ModelsServer()
    yield server
    server.go.set()
    server.server.shutdown()
    server.server.server_close()


def health(stack):
    exchange = stack.get("/api/health")
    assert exchange.header("Cache-Control") == "no-store"
    return exchange.status, exchange.json()


def found(stack, status=None, **services):
    """The first that finds these so: a machine that stands still longer than a look may take makes it say something else."""
    def look():
        code, body = health(stack)
        fits = status in (None, body["status"]) and all(
            body["services"][name]["status"] == wanted for name, wanted in services.items())
        return (code, body) if fits else None
    return wait_until(look, what=f"{status or services}")


def test_all_is_well(start_stack, models, redis):
    stack = start_stack(upstream=models, REDIS_URL=redis.url)
    code, body = found(stack, status="healthy")
    assert code == 200
    assert body["version"] and body["uptime"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["timestamp"])
    assert {name: service["status"] for name, service in body["services"].items()} == {
        "database": "disabled", "redis": "healthy", "openai": "healthy"}
    assert all(isinstance(service["latency"], int) for service in body["services"].values())


def test_who_polls_does_not_load_the_services(start_stack, models):
    stack = start_stack(upstream=models, workers=2)
    found(stack, status="healthy")
    began, before = time.monotonic(), models.count
    with ThreadPoolExecutor(16) as pool:
        assert len(list(pool.map(lambda _: health(stack), range(64)))) == 64
    assert models.count - before <= 1 + (time.monotonic() - began) / SHARED_SECONDS


def test_redis_away_is_degraded(start_stack, models, redis):
    stack = start_stack(upstream=models, REDIS_URL=redis.url)
    redis.kill()
    code, body = found(stack, status="degraded", openai="healthy")
    assert code == 200 and body["services"]["redis"]["status"] == "unhealthy"


def test_redis_frozen_is_told_within_the_cap(start_stack, models, redis):
    stack = start_stack(upstream=models, REDIS_URL=redis.url)
    redis.freeze()
    code, body = found(stack, redis="unhealthy", openai="healthy")
    redis.thaw()
    assert code == 200
    assert body["services"]["redis"]["latency"] >= 1900


@pytest.mark.parametrize("answer", [401, 500])
def test_a_model_that_refuses_is_unhealthy(start_stack, models, answer):
    models.status = answer
    stack = start_stack(upstream=models)
    code, body = health(stack)
    assert code == 503 and body["status"] == "unhealthy" and body["services"]["openai"]["status"] == "unhealthy"


def test_why_a_look_found_it_unhealthy_is_in_the_log_once(start_stack, models):
    """The doctor sends people there, who may have asked it nothing else yet."""
    models.status = 401
    stack = start_stack(upstream=models)

    def told():
        return [(line["level"], line["service"], line["cause"]) for line in stack.worker.log() if line["message"] == "a health check failed"]
    wait_until(lambda: health(stack) and models.count >= 2, what="a second look")
    assert told() == [("warn", "openai", "status 401 of GET /models")]
    models.status = 200
    found(stack, openai="healthy")
    models.status = 403
    found(stack, openai="unhealthy")
    assert told()[1:] == [("warn", "openai", "status 403 of GET /models")]


def test_a_server_without_a_list_of_models_is_healthy(start_stack, models):
    models.status = 404
    assert found(start_stack(upstream=models), openai="healthy")[0] == 200


def test_a_model_that_hangs_is_unhealthy(start_stack, models):
    models.go.clear()
    code, body = health(start_stack(upstream=models))
    assert code == 503 and body["services"]["openai"]["latency"] >= 1900


def test_without_a_model_nothing_is_healthy(start_stack):
    stack = start_stack(upstream=None, BAKAME_ENV="development", OPENAI_API_KEY=None)
    code, body = health(stack)
    assert code == 503 and body["services"]["openai"]["status"] == "disabled"


def test_what_a_look_finds_is_no_error_of_the_request(start_stack):
    """It would be one for error tracking at each look of who polls."""
    stack = start_stack(upstream=None, BAKAME_ENV="development", OPENAI_API_KEY=None)

    def counted(path):
        return f'bakame_requests_total{{route="{path}",status="503"}}' in stack.get("/metrics").read().decode()
    for path in ("/api/health", "/api/health/ready"):
        assert stack.get(path).status == 503
        wait_until(lambda: counted(path), what="the end of the request")
    assert not [line for line in stack.worker.log() if line["level"] == "error"]


def test_a_look_does_not_trip_a_breaker(start_stack, models, redis):
    """Of breakers that the first failure would open."""
    stack = start_stack(upstream=models, REDIS_URL=redis.url, BREAKER_REDIS="1/60", BREAKER_OPENAI="1/60")
    redis.kill()
    models.status = 500
    assert health(stack)[1]["services"]["redis"]["status"] == "unhealthy"
    assert "bakame_breaker_transitions_total" not in stack.get("/metrics").read().decode()


def test_an_open_breaker_shows(start_stack, model):
    """Though a look would find the model well: chats do not reach it."""
    stack = start_stack(BREAKER_OPENAI="3/60")
    for _ in range(3):
        stack.chat(model.script(status(500))).read()
    code, body = health(stack)
    assert code == 503 and body["status"] == "unhealthy"
    assert body["services"]["openai"] == {"status": "unhealthy", "latency": 0}
