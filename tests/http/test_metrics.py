"""What is counted and measured shows at /metrics, summed over workers."""
import json
import re
import subprocess
from pathlib import Path

from contract import assert_error
from script import gate, reply, stream, text
from stack import wait_until

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics(stack):
    """{series: value}"""
    exchange = stack.get("/metrics")
    assert exchange.status == 200 and exchange.header("Content-Type") == TYPE
    lines = [line for line in exchange.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def wait_for(stack, wanted):
    """What was answered may be counted a moment later."""
    def seen():
        found = metrics(stack)
        return all(found.get(name) == value for name, value in wanted.items())
    wait_until(seen, what=f"{wanted}")


def test_requests_are_counted_by_route_and_status(start_stack):
    stack = start_stack(workers=2)
    for _ in range(5):
        stack.assert_serves()
    for _ in range(3):
        assert_error(stack.get("/nowhere/else"), "not_found")
    wait_for(stack, {'bakame_requests_total{route="/api/chat",status="200"}': 5, 'bakame_requests_total{route="none",status="404"}': 3,
                     'bakame_request_seconds_count{route="/api/chat"}': 5})


def test_a_chat_shows_in_all_that_it_is_counted_in(start_stack, model):
    stack = start_stack()
    stack.chat(model.script(reply(usage={"prompt_tokens": 7, "completion_tokens": 5}))).read()
    wait_for(stack, {'bakame_tokens_total{kind="completion"}': 5, 'bakame_tokens_total{kind="prompt"}': 7,
                     "bakame_first_token_seconds_count": 1, 'bakame_model_calls_total{result="ok"}': 1})
    wait_until(lambda: metrics(stack)['bakame_log_lines_total{level="info"}'] >= 2, what="lines of the log")


def test_whatever_is_declared_is_counted_somewhere():
    source = CONTRIB.parent / "src"
    rows = set(re.findall(r"\[((?:METRIC|GAUGE)_\w+)\] = \{", (source / "telemetry" / "metrics.c").read_text())) - {"METRIC_COUNT", "GAUGE_COUNT"}
    others = "".join(path.read_text() for path in source.rglob("*.c") if path.name != "metrics.c" and "ctl" not in path.name)
    assert len(rows) > 25 and not {row for row in rows if row not in others}


def test_open_streams_of_all_workers_are_summed(start_stack, model):
    stack = start_stack(workers=2)
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchanges = [stack.chat(script) for _ in range(10)]
    for exchange in exchanges:
        assert exchange.next_text() == "one"
    # whoever answers is busy with that one itself at the moment that it ticks, or not
    wait_until(lambda: metrics(stack)["bakame_streams"] in (10, 11, 12), what="ten streams")
    assert metrics(stack)["bakame_processes"] == 2
    script.open("go")
    for exchange in exchanges:
        exchange.read()
    wait_until(lambda: metrics(stack)["bakame_streams"] in (0, 1, 2), what="no streams")


def test_counts_outlive_a_killed_worker(start_stack):
    stack = start_stack(workers=2)
    for _ in range(6):
        stack.assert_serves()
    name = 'bakame_requests_total{route="/api/chat",status="200"}'
    wait_until(lambda: metrics(stack).get(name) == 6, what="six chats")
    stack.workers[0].kill()
    assert wait_until(lambda: metrics(stack), what="metrics")[name] == 6


def test_each_metric_is_declared_once(stack):
    stack.assert_serves()
    exposition = stack.get("/metrics").read().decode()
    declared = re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", exposition, re.MULTILINE)
    assert len(declared) == len(set(declared)) > 10
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"^(bakame_\w+)[ {]", exposition, re.MULTILINE)}
    assert used <= set(declared)


def promtool(*words, given=None):
    done = subprocess.run(["promtool", "check", *words], input=given, text=True, capture_output=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_nothing_wrong(stack):
    stack.assert_serves()
    promtool("metrics", given=stack.get("/metrics").read().decode())


def test_alert_rules_are_sound():
    promtool("rules", "--lint-fatal", str(CONTRIB / "bakame-alerts.yml"))


def test_rules_and_dashboard_ask_for_what_there_is():
    table = (CONTRIB.parent / "src" / "telemetry" / "metrics.c").read_text() + (
        CONTRIB.parent / "src" / "handlers" / "metrics.c").read_text()
    there = set(re.findall(r"bakame_[a-z_]+", table))
    dashboard = json.loads((CONTRIB / "bakame-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked.append((CONTRIB / "bakame-alerts.yml").read_text())
    names = {re.sub(r"_bucket$", "", name) for text in asked for name in re.findall(r"\bbakame_[a-z_]+", text)}
    assert len(names) > 15 and names <= there, names - there


def fires(tmp_path, alert, minutes, **series):
    """Does it, when these series of a host, {name: {other labels: a value every 15 s}}, have gone on for so many minutes?"""
    expr = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    rules = {"rule_files": [str(CONTRIB / "bakame-alerts.yml")], "evaluation_interval": "15s", "tests": [{
        "interval": "15s",
        "input_series": [{"series": f'bakame_{name}{{instance="host"{labels}}}', "values": values}
                         for name, all_of_it in series.items() for labels, values in all_of_it.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": f"{minutes}m", "exp_samples": [{"labels": "{}", "value": 1}]}]}]}
    path = tmp_path / "test.yml"
    path.write_text(json.dumps(rules))          # which is YAML
    done = subprocess.run(["promtool", "test", "rules", str(path)], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180)
    assert done.returncode == 0 or "got: nil" in done.stdout, done.stdout
    return done.returncode == 0


def test_an_alert_tells_that_a_service_is_away_though_it_is_tried_meanwhile(tmp_path):
    """What hangs makes each try take long: a look at any moment may find the breaker half-open."""
    values = "1 1 2 " * 10
    assert fires(tmp_path, "BakameModelAway", 2, breaker_state={',service="openai"': values})
    assert fires(tmp_path, "BakameBreakerOpen", 6, breaker_state={',service="database"': values})
    assert not fires(tmp_path, "BakameBreakerOpen", 8, breaker_state={',service="database"': values + "0 0 0"})


def test_an_alert_tells_that_limits_lack_their_redis_but_not_where_none_is_wanted(tmp_path):
    decisions = {',decided_by="host",result="admitted"': "0+3x80"}
    assert not fires(tmp_path, "BakameLimiterWithoutRedis", 20, limiter_decisions_total=decisions)
    assert fires(tmp_path, "BakameLimiterWithoutRedis", 20, limiter_decisions_total=decisions,
                 redis_commands_total={',result="ok"': "7x80", ',result="timeout"': "0x80"})


def test_alerts_tell_of_a_queue_that_stands_and_of_the_first_dead_letter(tmp_path):
    assert fires(tmp_path, "BakameQueueStands", 30, queue_oldest_seconds={"": "0+15x120"})
    assert not fires(tmp_path, "BakameQueueStands", 30, queue_oldest_seconds={"": "600x120"})
    dead = {',kind="turn",result="dead"': "_x20 1x60"}          # it is counted from then on
    assert fires(tmp_path, "BakameDeadLetters", 10, queue_jobs_total=dead, queue_dead_letters={"": "0x20 1x60"})


def test_an_alert_tells_of_errors_but_not_of_what_health_checks_find(tmp_path):
    for route, wanted in (("/api/chat", True), ("/api/health", False), ("/api/health/ready", False)):
        counted = {f',route="{route}",status="503"': "0+15x80", ',route="/api/chat",status="200"': "0+15x80"}
        assert fires(tmp_path, "BakameErrors", 20, requests_total=counted) is wanted
