"""What a chat needs of each front: its pieces at once, its end, and the client's leaving passed on."""
import pytest

from client import DONE
from front_stack import FRONTS
from script import HANG, gate, stream, text
from stack import wait_until
from test_headers import assert_security_headers

every_front = pytest.mark.parametrize("front", FRONTS)


@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "gzip"}], ids=["plain", "client takes gzip"])
def test_a_stream_arrives_piece_by_piece(site, model, headers):
    script = model.script(stream(text("one"), gate("first"), text("two"), gate("second"), text("three")))
    exchange = site.chat(script, headers=headers)
    assert exchange.next_text() == "one"
    script.open("first")
    assert exchange.next_text() == "two"
    script.open("second")
    assert exchange.next_text() == "three"
    assert exchange.events()[-1] == DONE
    assert exchange.header("Content-Encoding") is None
    assert exchange.header("X-Accel-Buffering") is None


def test_many_streams_run_at_once(site, model):
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchanges = [site.chat(script) for _ in range(12)]
    for exchange in exchanges:
        assert exchange.next_text() == "one"
    script.open("go")
    for exchange in exchanges:
        assert exchange.next_text() == "two"
        assert exchange.events()[-1] == DONE


@every_front
@pytest.mark.parametrize("steps", [[text("one"), HANG], [text("one"), ["repeat", 100_000, [text("@N@"), ["sleep", 0.01]]]]],
                         ids=["silent", "speaking"])
def test_a_client_that_leaves_ends_the_models_answer(start_site, model, front, steps):
    site = start_site(front, PING_SECONDS=1)     # Apache looks for its client only when there is something to send
    script = model.script(stream(*steps))
    exchange = site.chat(script)
    assert exchange.next_text() == "one"
    exchange.leave()
    script.wait("gone", timeout=120)


def test_an_id_is_the_clients_the_fronts_and_the_workers(site):
    exchange = site.get("/v1/models")
    assert exchange.status == 200
    request_id = exchange.header("X-Request-Id")
    exchange.close()
    assert [line["path"] for line in site.log_lines(request_id)] == ["/v1/models"]
    wait_until(lambda: request_id in site.front.access_log(), 120, what="a line of the access log")


def test_a_query_is_not_in_the_access_log(site):
    exchange = site.get("/v1/models?q=between-you-and-me")
    request_id = exchange.header("X-Request-Id")
    exchange.read()
    exchange.close()
    wait_until(lambda: request_id in site.front.access_log(), 120, what="a line of the access log")
    assert "between-you-and-me" not in site.front.access_log()


@pytest.mark.parametrize("front", ["nginx", "apache-proxy-fcgi"])
def test_while_no_worker_runs_it_says_so_and_recovers(start_site, front):
    site = start_site(front)
    site.worker.signal(15)
    site.worker.wait(120)
    site.listener.close()
    for path in ("/api/health/live", "/v1/models"):
        exchange = site.get(path)
        assert exchange.status == 503
        assert_security_headers(exchange)
        assert exchange.header("Content-Type").startswith("application/json")
        assert exchange.header("Retry-After") == "5"
        error = exchange.json()["error"]
        assert error["type"] == "service_unavailable" and error["request_id"] == exchange.header("X-Request-Id")


@every_front
def test_an_answer_that_breaks_off_before_it_began_is_an_error_as_any(start_site, model, front):
    site = start_site(front)
    script = model.script([HANG])
    exchange = site.chat(script, stream=False)
    script.wait("received", timeout=120)
    site.kill_workers()
    assert exchange.status in (500, 502, 503)
    assert_security_headers(exchange)
    assert exchange.header("Content-Type").startswith("application/json")
    assert exchange.json()["error"]["request_id"] == exchange.header("X-Request-Id")


def test_a_large_question_arrives_whole(site, model):
    script = model.script([["reply", {}]])
    exchange = site.chat(script, messages=[{"role": "user", "content": script.text("x" * 900_000)}])
    assert exchange.events()[-1] == DONE


def test_a_body_of_unknown_length_is_taken_and_cut_at_the_same_size(site):
    def pieces(count):
        for _ in range(count):
            yield b" " * 65536
    for count, status in ((2, 400), (40, 413)):
        exchange = site.post("/api/chat", pieces(count))
        assert exchange.status == status
        assert exchange.header("X-Request-Id") == exchange.json()["error"]["request_id"]
