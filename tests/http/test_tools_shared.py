"""What workers share of the tools: answers, fetches, breakers; and how calls end when a turn does."""
import signal
import time

import pytest

from client import is_complete, text_of
from contract import assert_ends_in_error, assert_error
from redis_server import RedisServer
from script import reply
from stack import wait_until
from test_metrics import metrics
from tools import activity, asks, call, currency, ends, results, weather

ANSWER = reply(pieces=["It", " rains", "."])
FORECAST = "/v1/forecast"


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


def chat_with(stack, model, *calls, **members):
    """One turn that calls these tools; returns all its events."""
    events = stack.chat(model.script(asks(*calls), ANSWER), **members).events()
    assert is_complete(events) and text_of(events) == "It rains."
    return events


def forecasts(providers, site):
    return [request for request in providers.log(site) if request["path"] == FORECAST]


# ---- the cache ----

@pytest.mark.parametrize("with_redis", [True, False], ids=["redis", "no-redis"])
def test_what_was_asked_lately_is_not_asked_again(start_stack, model, providers, redis, with_redis):
    site = providers.site()
    stack = start_stack(workers=2, **providers.settings("ok", site, REDIS_URL=redis.url if with_redis else None))
    cities = ["Rubavu", "  rubavu ", "RUBAVU", "Rubavu"]
    done = [ends(chat_with(stack, model, weather(city)))["call_w"] for city in cities]
    assert [tool["cached"] for tool in done] == [False, True, True, True]
    assert all(tool["result"] == done[0]["result"] for tool in done)
    assert len(forecasts(providers, site)) == 1
    chat_with(stack, model, weather("Rubavu", days=1))
    assert len(forecasts(providers, site)) == 2


def test_all_amounts_have_one_rate(start_stack, model, providers, redis):
    site = providers.site()
    stack = start_stack(**providers.settings("ok", site, REDIS_URL=redis.url))
    for amount, result in ((1, 0.86), (100, 86.47), (3, 2.59)):
        done = ends(chat_with(stack, model, currency(amount, "USD", "EUR")))["call_c"]
        assert done["result"]["result"] == result and done["result"]["series"]
    assert sorted(request["path"] for request in providers.log(site)) == ["/v2/rate/USD/EUR", "/v2/rates"]


def test_all_questions_about_the_news_share_the_feeds(start_stack, model, providers):
    site = providers.site()
    stack = start_stack(**providers.settings("ok", site))
    for query in ("rain", "football", None):
        done = ends(chat_with(stack, model, call("news", {"query": query})))["call_a"]
        assert done["result"]["articles"]
    assert len(providers.log(site)) == 3        # one for each feed


def test_that_there_is_no_such_place_is_remembered(start_stack, model, providers, redis):
    site = providers.site()
    stack = start_stack(**providers.settings("ok", site, REDIS_URL=redis.url))
    for _ in range(3):
        assert "No place of that name" in ends(chat_with(stack, model, weather("Nowhere")))["call_w"]["error"]
    assert len(providers.log(site)) == 1


def test_many_who_ask_at_once_share_one_fetch(start_stack, model, providers, redis):
    site = providers.site()
    stack = start_stack(workers=4, **providers.settings("ok~0.3", site, REDIS_URL=redis.url))
    scripts = [model.script([["gate", "go"], *asks(weather("Musanze"))], ANSWER) for _ in range(60)]
    exchanges = [stack.chat(script) for script in scripts]
    for script in scripts:
        script.wait("received")
    for script in scripts:
        script.open("go")
    for exchange in exchanges:
        assert ends(exchange.events())["call_w"]["status"] == "done"
    assert len(forecasts(providers, site)) == 1


def make_old(redis, kind):
    """All that is kept of a kind was fetched an hour ago."""
    for key in redis.command("KEYS", f"bakame:{{cache:{kind}:*}}"):
        record = redis.command("GET", key)
        if record.startswith(b"BK1 "):
            head, _, rest = record[4:].partition(b" ")
            redis.command("SET", key, b"BK1 %d %b" % (int(head) - 3_600_000, rest))


def test_a_stale_answer_is_better_than_none_and_marked(start_stack, model, providers, redis):
    site = providers.site()
    chat_with(start_stack(**providers.settings("ok", site, REDIS_URL=redis.url)), model, weather("Nyanza"))
    stack = start_stack(**providers.settings("ok", site, REDIS_URL=redis.url, TOOL_TIMEOUT_MS=500))
    for hours, mode in enumerate(("500", "hang", "html", "cut"), 1):
        make_old(redis, "weather")
        providers.behave(site, mode)
        time.sleep(1.1)         # a failure is remembered for a second
        script = model.script(asks(weather("Nyanza")), ANSWER)
        done = ends(stack.chat(script).events())["call_w"]
        assert (done["status"], done["cached"]) == ("done", True)
        assert done["result"]["stale"] is True
        assert 0 <= done["result"]["age_seconds"] - hours * 3600 < 1000
        assert results(script)["call_w"]["stale"] is True


# ---- breakers ----

def test_a_provider_that_is_down_is_left_alone_after_three_failures(start_stack, model, providers, redis):
    site = providers.site()
    stack = start_stack(workers=2, **providers.settings("500", site, REDIS_URL=redis.url, BREAKER_WEATHER="3/3600"))
    told = [ends(chat_with(stack, model, weather(f"Town {i}")))["call_w"]["error"] for i in range(6)]
    assert all("refused" in error for error in told[:3])
    assert all("left alone" in error for error in told[3:])
    assert len(providers.log(site)) == 3
    counted = metrics(stack)
    assert counted['bakame_tool_calls_total{tool="weather",result="failed"}'] == 3
    assert counted['bakame_tool_calls_total{tool="weather",result="refused"}'] == 3
    # the others are not touched
    providers.behave(site, "ok")
    assert ends(chat_with(stack, model, currency(7, "USD", "JPY")))["call_c"]["status"] == "done"


def test_a_provider_that_says_no_is_not_down(start_stack, model, providers):
    site = providers.site()
    stack = start_stack(**providers.settings("ok", site))
    for i in range(5):
        chat_with(stack, model, weather(f"Nowhere {i}"))
    assert ends(chat_with(stack, model, weather("Huye")))["call_w"]["status"] == "done"


# ---- side by side, and the end ----

FIVE = [weather(id="w"), currency(1, "USD", "JPY", id="c"), call("news", {}, "n"), call("web_search", {"query": "x"}, "s"),
        call("places", {"query": "Huye"}, "p")]


# Where each of them begins: Open-Meteo, Frankfurter, a feed, Wikipedia, Nominatim.
FIRST_ASKED = {"/v1/search", "/v2/rate/USD/JPY", "/feed.rss", "/w/api.php", "/search"}


def test_five_tools_run_side_by_side(start_stack, model, providers):
    site = providers.site()
    stack = start_stack(**providers.settings("held", site))
    exchange = stack.chat(model.script(asks(*FIVE), ANSWER))
    running = []
    while len(running) < 5:
        running += activity([exchange.next_event()])
    assert [tool["status"] for tool in running] == ["running"] * 5
    # all have asked before the first is answered
    wait_until(lambda: len({request["path"] for request in providers.log(site)} & FIRST_ASKED) == 5, what="five questions")
    providers.behave(site, "ok")
    events = exchange.events()
    assert [tool["status"] for tool in activity(events)] == ["done"] * 5
    assert is_complete(events) and text_of(events) == "It rains."


def test_a_slow_tool_does_not_hold_up_the_news_of_a_quick_one(start_stack, model, providers):
    slow = providers.site()
    stack = start_stack(**providers.settings("ok", FRANKFURTER_URL=providers.url("held", slow)))
    exchange = stack.chat(model.script(asks(*FIVE), ANSWER))
    events = []
    while len(ends(events)) < 4:
        events.append(exchange.next_event())
    assert {id: tool["status"] for id, tool in ends(events).items()} == dict.fromkeys("wnsp", "done")
    providers.behave(slow, "ok")
    assert ends(exchange.events())["c"]["status"] == "done"


def test_pings_go_on_while_tools_run(start_stack, model, providers):
    site = providers.site()
    stack = start_stack(**providers.settings("held", site, PING_SECONDS=1))
    exchange = stack.chat(model.script(asks(weather()), ANSWER))
    while not activity([exchange.next_event()]):
        pass
    assert exchange.next_comment()[1] == ": ping"
    providers.behave(site, "ok")
    assert is_complete(exchange.events())


def test_calls_end_when_the_client_leaves(start_stack, model, providers):
    site = providers.site()
    stack = start_stack(**providers.settings("hang", site, TOOL_TIMEOUT_MS=60_000))
    stack.assert_serves()
    idle = stack.worker.sockets()
    exchange = stack.chat(model.script(asks(*FIVE), ANSWER))
    while not activity([exchange.next_event()]):
        pass
    wait_until(lambda: len(providers.log(site)) >= 5, what="five questions to providers")
    assert stack.worker.sockets() > idle
    exchange.leave()
    wait_until(lambda: stack.worker.sockets() <= idle, 40, "the end of all calls, before their time-out")
    stack.assert_serves()


def test_calls_end_when_the_worker_does(start_stack, model, providers):
    site = providers.site()
    stack = start_stack(**providers.settings("hang", site, TOOL_TIMEOUT_MS=50_000, DRAIN_SECONDS=0))
    exchange = stack.chat(model.script(asks(weather()), ANSWER))
    while not activity([exchange.next_event()]):
        pass
    stack.worker.signal(signal.SIGTERM)
    assert_ends_in_error(exchange.events(), "service_unavailable")


def test_calls_end_at_the_requests_deadline(start_stack, model, providers):
    stack = start_stack(**providers.settings("hang", TOOL_TIMEOUT_MS=50_000, REQUEST_DEADLINE_SECONDS=1))
    exchange = stack.chat(model.script(asks(weather()), ANSWER))
    if exchange.status == 200:
        assert_ends_in_error(exchange.events(), "upstream_timeout")
    else:                                   # the model itself was not that quick
        assert_error(exchange, "upstream_timeout")


# ---- what the operator sees ----

def test_calls_are_logged_with_their_request_and_counted(start_stack, model, providers):
    key = "k3y-0123456789abcdef-never-logged"
    site = providers.site()
    stack = start_stack(**providers.settings("ok", site, OPENWEATHER_API_KEY=key))
    exchange = stack.chat(model.script(asks(weather(), call("weather", {}, "bad")), ANSWER))
    exchange.read()
    lines = wait_until(lambda: [line for line in stack.log_lines(exchange.header("X-Request-Id")) if line["message"] == "tool"])
    assert (lines[0]["tool"], lines[0]["cached"]) == ("weather", False) and lines[0]["ms"] >= 0
    providers.behave(site, "401")
    exchange = stack.chat(model.script(asks(weather("Huye")), ANSWER))
    assert "operator" in ends(exchange.events())["call_w"]["error"]
    failed = wait_until(lambda: [line for line in stack.log_lines(exchange.header("X-Request-Id")) if line["message"] == "tool failed"])
    assert failed[0]["level"] == "error" and "OpenWeather" in failed[0]["reason"]
    assert key not in stack.worker.stderr()
    counted = metrics(stack)
    assert counted['bakame_tool_calls_total{tool="weather",result="ok"}'] == 1
    assert counted['bakame_tool_calls_total{tool="weather",result="invalid"}'] == 1
    assert counted['bakame_tool_seconds_count{tool="weather"}'] == 2
