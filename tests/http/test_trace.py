"""A trace goes on through us: traceparent is passed to the model, spans go to a collector."""
import signal
import time

import pytest

from collector import Collector
from script import reply
from stack import wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def slow_collector():
    server = Collector()
    yield server
    server.close()


def spans_of(batches):
    return [span for _, batch in batches for resource in batch["resourceSpans"]
            for scope in resource["scopeSpans"] for span in scope["spans"]]


def traceparent_of(script):
    return script.log()[0]["headers"].get("traceparent")


def test_the_model_gets_the_trace_and_a_span_of_its_own(stack, model):
    script = model.script(reply())
    stack.chat(script, headers={"traceparent": PARENT}).read()
    version, trace, span, flags = traceparent_of(script).split("-")
    assert (version, trace, flags) == ("00", TRACE, "01") and span != PARENT.split("-")[2]


def test_without_a_trace_none_is_begun(stack, model):
    script = model.script(reply())
    stack.chat(script).read()
    assert traceparent_of(script) is None


def test_a_broken_traceparent_is_none(stack, model):
    script = model.script(reply())
    stack.chat(script, headers={"traceparent": "00-nonsense"}).read()
    assert traceparent_of(script) is None


def test_spans_of_a_chat_reach_the_collector(start_stack, model, collector):
    address, batches = collector
    stack = start_stack(OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_SERVICE_NAME="bakame-test")
    stack.chat(model.script(reply()), headers={"traceparent": PARENT}).read()
    ours = wait_until(lambda: len(found := [span for span in spans_of(batches) if span["traceId"] == TRACE]) == 2 and found,
                      what="two spans of this trace")
    assert batches[0][0] == "/v1/traces"
    by_kind = {span["kind"]: span for span in ours}
    server, client = by_kind[2], by_kind[3]
    assert server["name"] == "POST /api/chat" and server["parentSpanId"] == PARENT.split("-")[2]
    assert client["name"].startswith("POST 127.0.0.1:") and client["parentSpanId"] == server["spanId"]


def test_the_last_spans_go_out_before_the_end(start_stack, model, collector):
    """If the collector takes them within a second, for which the end waits."""
    address, batches = collector

    def told():
        batches.clear()
        stack = start_stack(OTEL_EXPORTER_OTLP_ENDPOINT=address)
        stack.chat(model.script(reply())).read()
        stack.worker.signal(signal.SIGTERM)
        stack.worker.wait(60)
        if {"POST /api/chat"} <= {span["name"] for span in spans_of(batches)}:
            return True
        assert "the collector takes no spans" in stack.worker.stderr()
        return False
    wait_until(told, what="the last spans")


def test_spans_on_their_way_at_the_end_arrive(start_stack, model, slow_collector):
    """If the collector takes them within a second, for which the end waits."""
    def arrived():
        slow_collector.go.clear()
        slow_collector.batches.clear()
        stack = start_stack(OTEL_EXPORTER_OTLP_ENDPOINT=slow_collector.address)
        stack.chat(model.script(reply())).read()
        wait_until(lambda: slow_collector.batches, what="spans on their way")
        stack.worker.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in stack.worker.stderr(), what="the end's beginning")
        time.sleep(0.3)         # it has begun to end
        slow_collector.go.set()
        stack.worker.wait(60)
        return "the collector takes no spans" not in stack.worker.stderr()
    wait_until(arrived, what="an end without a loss")


def test_a_collector_that_hangs_is_told_once_and_why(start_stack, model, slow_collector):
    slow_collector.go.clear()
    stack = start_stack(OTEL_EXPORTER_OTLP_ENDPOINT=slow_collector.address)
    stack.chat(model.script(reply())).read()
    wait_until(lambda: "the collector takes no spans" in stack.worker.stderr(), what="a line that says so")
    (told,) = [line for line in stack.worker.log() if line["message"] == "the collector takes no spans"]
    assert told["reason"] == "The collector did not answer in time."


def test_a_collector_that_is_away_costs_nothing(start_stack, model):
    stack = start_stack(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    for _ in range(5):
        stack.assert_serves()
    stack.worker.signal(signal.SIGTERM)
    stack.worker.wait(60)
