"""Every provider of every tool, well and unwell, by bakamectl tool: straight to the provider, so that no breaker and no
cache stands between."""
import json
import re
import socket
import subprocess
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal

import pytest

from worker import CONTROL_PROGRAM, environment, require_build

KEY = "k3y-0123456789abcdef-never-shown"
WEATHER = ("weather", {"location": "Kigali", "days": 2})
CURRENCY = ("currency", {"amount": 100.5, "from": "USD", "to": "RWF"})
NEWS = ("news", {"query": "Kigali"})
SEARCH = ("web_search", {"query": "gorillas", "count": 3})
CAFES = ("places", {"query": "cafes", "near": "Kimihurura", "radius_m": 900})

# provider: the call, the setting of its key, the settings that make it the one that answers
PROVIDERS = {
    "openweather": (WEATHER, {"OPENWEATHER_API_KEY": KEY}),
    "open-meteo": (WEATHER, {}),
    "exchangerate-api": (CURRENCY, {"EXCHANGE_RATE_API_KEY": KEY}),
    "frankfurter": (CURRENCY, {}),
    "newsapi": (NEWS, {"NEWS_API_KEY": KEY}),
    "feeds": (NEWS, {}),
    "tavily": (SEARCH, {"TAVILY_API_KEY": KEY}),
    "searxng": (SEARCH, {"SEARXNG_URL": None}),
    "wikipedia": (SEARCH, {}),
    "nominatim": (("places", {"query": "Kigali Convention Centre"}), {}),
    "overpass": (CAFES, {"NOMINATIM_URL": "ok"}),
    "google-places": (CAFES, {"GOOGLE_PLACES_API_KEY": KEY}),
}
MALFORMED = "could not be understood"
# how a provider misbehaves, and what is said then
FAILURES = {
    "400": "could not make sense", "401": "refused this server", "429": "too many questions", "500": "not working",
    "html": MALFORMED, "html503": "not working", "error200": "", "truncated": MALFORMED, "empty": MALFORMED, "wrong": MALFORMED,
    "array": MALFORMED, "latin1": MALFORMED, "badutf8": MALFORMED, "deep": MALFORMED, "cut": "broke off", "reset": "",
    "huge": "too large", "bomb": "too large", "redirect": "another address", "hang": "took too long",
}
# where a provider's own words tell more than the status
OWN_WORDS = {("overpass", "400"): "too busy", ("overpass", "401"): "too busy", ("overpass", "429"): "too busy",
             ("overpass", "500"): "too busy", ("open-meteo", "400"): "Open-Meteo refused", ("open-meteo", "401"): "Open-Meteo refused",
             ("open-meteo", "500"): "Open-Meteo refused", ("exchangerate-api", "400"): "refused the question",
             ("exchangerate-api", "500"): "refused the question", ("newsapi", "400"): "not working",
             ("wikipedia", "400"): "not working", ("wikipedia", "401"): "not working", ("wikipedia", "429"): "too many",
             ("google-places", "400"): "refused this server", ("google-places", "401"): "refused this server",
             ("google-places", "429"): "refused this server", ("google-places", "500"): "refused this server"}


def ask(tool, arguments, **settings):
    """Run bakamectl tool; returns (exit status, result or None, what it complained)."""
    require_build(CONTROL_PROGRAM)
    env = environment(BAKAME_ENV="development", **settings)
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    done = subprocess.run([CONTROL_PROGRAM, "tool", tool, text], env=env, capture_output=True, text=True, timeout=180)
    assert KEY not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def own_setting(providers, value, mode, site):
    """None is the mock's URL; "ok" the same, always well."""
    return providers.url(mode if value is None else value, site) if value in (None, "ok") else value


def ask_provider(providers, name, mode="ok", arguments=None, **settings):
    (tool, usual), own = PROVIDERS[name]
    site = providers.site()
    more = {key: own_setting(providers, value, mode, site) for key, value in own.items()}
    answer = ask(tool, usual if arguments is None else arguments, **{**providers.settings(mode, site), **more, **settings})
    return *answer, providers.log(site)


@pytest.mark.parametrize("mode", ["ok", "gzip", "chunked"])
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_that_is_well_answers(providers, name, mode):
    code, result, complaint, log = ask_provider(providers, name, mode)
    assert (code, complaint) == (0, "")
    assert result["source"] and result["retrieved_at"].endswith("Z")
    assert len(json.dumps(result)) < 8000
    assert all("Bakame/" in request["headers"]["User-Agent"] for request in log)


@pytest.mark.parametrize("mode", FAILURES)
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_that_is_unwell_fails_the_tool_in_few_words(providers, name, mode):
    time_out = {"TOOL_TIMEOUT_MS": 300} if mode == "hang" else {}
    code, result, complaint, _ = ask_provider(providers, name, mode, **time_out)
    assert (code, result) == (69, None)
    assert OWN_WORDS.get((name, mode), FAILURES[mode]) in complaint
    assert complaint.count("\n") == 1 and len(complaint) < 400
    assert "http" not in complaint and "<" not in complaint and "secret" not in complaint
    assert providers.log("secret") == []


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_that_is_not_there_is_said_to_be_so(providers, name):
    (tool, arguments), own = PROVIDERS[name]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))         # bound, but nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        settings = {name: url for name in providers.settings() if name.endswith("_URL")}
        own = {key: url if value in (None, "ok") else value for key, value in own.items()}
        code, _, complaint = ask(tool, arguments, NEWS_FEEDS=url, NOMINATIM_INTERVAL_MS=0, **{**settings, **own})
    assert code == 69 and "could not be reached" in complaint


# ---- what each makes of its provider's answer ----

def test_openweather_days_are_gathered_in_the_places_own_time(providers):
    _, result, _, log = ask_provider(providers, "openweather", arguments={"location": "Kigali", "days": 5, "units": "imperial"})
    assert [day["date"] for day in result["days"]] == [f"2026-01-0{i}" for i in range(1, 6)]
    assert result["timezone"] == "UTC+02:00" and result["current"]["time"] == "2026-01-01T09:00:00+02:00"
    assert result["units"] == {"temperature": "°F", "wind_speed": "mph", "precipitation": "mm"}
    assert all(request["query"]["units"] == "imperial" for request in log[1:])


def test_what_a_provider_leaves_out_is_not_made_up(providers):
    _, result, complaint, _ = ask_provider(providers, "openweather", arguments={"location": "Bareland", "days": 3})
    assert complaint == "" and len(result["days"]) == 3
    for day in result["days"]:
        assert day["temperature_min"] >= 18
        assert "temperature_max" not in day and "precipitation_chance_percent" not in day
    code, _, complaint, log = ask_provider(providers, "google-places", arguments={"query": "cafe", "near": "Bareland", "radius_m": 900})
    assert code == 69 and MALFORMED in complaint and len(log) == 1


def test_places_that_are_not_known_are_not_found(providers):
    for name in ("openweather", "open-meteo"):
        code, _, complaint, _ = ask_provider(providers, name, arguments={"location": "Nowhere, Land"})
        assert code == 69 and "No place of that name" in complaint
    code, _, complaint, _ = ask_provider(providers, "overpass", arguments={"query": "cafe", "near": "nowhere"})
    assert code == 69 and "no such place" in complaint


def test_what_stands_in_a_question_stays_in_its_place(providers):
    """Nothing in a value can change the address that is asked."""
    evil = "Kigali&limit=9#/../../secret?x=1 %2f@evil:80/"
    for name in ("openweather", "open-meteo"):
        _, _, _, log = ask_provider(providers, name, arguments={"location": evil})
        assert log[0]["query"].get("q", log[0]["query"].get("name")) == evil
        assert {request["path"] for request in log} <= {"/geo/1.0/direct", "/data/2.5/weather", "/data/2.5/forecast",
                                                        "/v1/search", "/v1/forecast"}
    assert providers.log("secret") == []


@pytest.mark.parametrize("name", ["exchangerate-api", "frankfurter"])
@pytest.mark.parametrize("amount, source, target, text", [
    ("100.5", "usd", "RWF", '"result": 145750,'), ("0.1", "USD", "RWF", '"result": 145,'),
    ("100", "EUR", "KWD", '"result": 35.571,'), ("1", "USD", "EUR", '"result": 0.86,'),
    ("999999999999999", "USD", "RWF", '"result": 1450249999999998550,'), ("1e2", "USD", "JPY", '"result": 15631,'),
    ("0.10", "USD", "EUR", '"amount": 0.10,'), ("0", "USD", "EUR", '"result": 0.00,'),
])
def test_money_is_exact_and_rounded_as_its_currency_is(providers, name, amount, source, target, text):
    site = providers.site()
    settings = {**providers.settings("ok", site), **PROVIDERS[name][1]}
    env = environment(BAKAME_ENV="development", **settings)
    arguments = f'{{"amount":{amount},"from":"{source}","to":"{target}"}}'
    done = subprocess.run([CONTROL_PROGRAM, "tool", "currency", arguments], env=env, capture_output=True, text=True)
    assert text in done.stdout, done.stdout + done.stderr


def test_currencies_are_checked_before_anybody_is_asked(providers):
    for source, target in (("USD", "XXX"), ("us", "RWF"), ("ABC", "RWF")):
        site = providers.site()
        code, _, complaint = ask("currency", {"amount": 1, "from": source, "to": target}, **providers.settings("ok", site))
        assert code in (65, 69) and providers.log(site) == [] and complaint


def test_a_currency_that_is_not_quoted_is_said_to_be_so(providers):
    for name, words in (("exchangerate-api", "does not know"), ("frankfurter", "does not quote")):
        code, _, complaint, _ = ask_provider(providers, name, arguments={"amount": 1, "from": "BIF", "to": "KES"})
        assert code == 69 and words in complaint


def test_frankfurters_older_shape_is_read_too(providers):
    _, result, _, log = ask_provider(providers, "frankfurter", arguments={"amount": 1000000, "from": "RWF", "to": "USD"})
    assert result["result"] == 689.54 and result["rate_date"] == "2025-12-31"
    paths = [request["path"] for request in log]
    assert [path for path in paths if ".." not in path and path != "/v2/rates"] == ["/v2/rate/RWF/USD", "/v1/latest"]
    assert any(re.fullmatch(r"/v1/20\d\d-\d\d-\d\d\.\.", path) for path in paths) and len(result["series"]) >= 20


@pytest.mark.parametrize("name", ["exchangerate-api", "frankfurter"])
def test_past_rates_are_drawn_and_summed_up_exactly(providers, name):
    today = datetime.now(timezone.utc).date()
    _, result, complaint, log = ask_provider(providers, name, arguments={"amount": 3, "from": "usd", "to": "RWF", "days": 30})
    days, history = result["series"], result["history"]
    assert complaint == "" and history["source"] == "Frankfurter" and history["days"] == len(days) >= 20
    assert [day["date"] for day in days] == sorted({day["date"] for day in days})
    assert (history["first"], history["last"]) == (days[0], days[-1])
    rates = sorted(days, key=lambda day: day["rate"])
    assert history["lowest"]["rate"] == rates[0]["rate"] and history["highest"]["rate"] == rates[-1]["rate"]
    exact = (Decimal(str(days[-1]["rate"])) / Decimal(str(days[0]["rate"])) - 1) * 100
    assert Decimal(str(history["change_percent"])) == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    [asked] = [request["query"] for request in log if request["path"] == "/v2/rates"]
    assert (asked["base"], asked["quotes"]) == ("USD", "RWF")
    # a day may have ended meanwhile
    assert today - date.fromisoformat(asked["from"]) in (timedelta(days=30), timedelta(days=29), timedelta(days=28))


def test_past_rates_that_cannot_be_had_are_left_out(providers):
    for name, days, broken in (("exchangerate-api", 30, "500"), ("exchangerate-api", 30, "wrong"), ("frankfurter", 0, "ok")):
        _, result, complaint, _ = ask_provider(providers, name, arguments={"amount": 3, "from": "USD", "to": "RWF", "days": days},
                                               FRANKFURTER_URL=providers.url(broken))
        assert complaint == "" and result["result"] == 4351 and "series" not in result and "history" not in result


def test_newsapi_articles_are_trimmed(providers):
    _, result, _, log = ask_provider(providers, "newsapi")
    first = result["articles"][0]
    assert len(result["articles"]) == 10 and "[Removed]" not in json.dumps(result)
    assert first == {"title": "Kigali: headline 0", "source": "Paper 0", "published_at": "2026-01-01T00:00:00Z",
                     "url": "https://news.example/0", "summary": "About Kigali & more."}
    assert log[0]["path"] == "/v2/everything" and KEY not in json.dumps(log[0]["query"])


@pytest.mark.parametrize("arguments, path, query", [
    ({}, "/v2/top-headlines", {"category": "general"}),
    ({"country": "rw"}, "/v2/top-headlines", {"country": "rw"}),
    ({"query": "x", "category": "health"}, "/v2/top-headlines", {"q": "x", "category": "health"}),
    ({"query": "x", "language": "fr"}, "/v2/everything", {"q": "x", "language": "fr", "sortBy": "publishedAt"}),
])
def test_newsapi_is_asked_where_the_question_fits(providers, arguments, path, query):
    *_, log = ask_provider(providers, "newsapi", arguments=arguments)
    assert (log[0]["path"], log[0]["query"]) == (path, {**query, "pageSize": "15"})


def test_feeds_of_all_formats_are_read_filtered_and_sorted(providers):
    _, everything, _, _ = ask_provider(providers, "feeds", arguments={})
    _, kigali, _, _ = ask_provider(providers, "feeds", arguments={"query": "rain in kigali"})
    times = [article["published_at"] for article in everything["articles"]]
    assert times == sorted(times, reverse=True) and len(times) == 6
    assert {article["source"] for article in everything["articles"]} == {"Feed of rain – café", "An Atom feed", "Vieux café"}
    assert kigali["articles"][0] == {
        "title": "Rain in Kigali, part 2", "source": "Feed of rain – café", "published_at": "2026-01-01T02:00:00Z",
        "url": "https://feed.example/rss/2", "summary": "It rained & stopped, 2."}
    assert "Football" not in json.dumps(kigali)
    atom = next(article for article in everything["articles"] if article["source"] == "An Atom feed")
    assert (atom["title"], atom["url"]) == ("Kigali & the hills", "https://feed.example/atom/1")
    assert atom["published_at"] == "2026-01-01T06:00:00Z"


def test_one_feed_that_fails_is_missed_only(providers):
    good, bad = providers.url("ok"), providers.url("500")
    code, result, _ = ask("news", {}, **providers.settings(NEWS_FEEDS=f"{good}/feed.rss,{bad}/feed.rss"))
    assert code == 0 and result["feeds_failed"] == 1 and len(result["articles"]) == 4


def test_search_results_are_as_many_as_wanted(providers):
    for name in ("tavily", "searxng", "wikipedia"):
        _, result, _, _ = ask_provider(providers, name)
        assert len(result["results"]) == 3
        assert all(row["title"] and row["url"].startswith("http") and "<" not in row["snippet"] for row in result["results"])


def test_cafes_near_a_place_are_found_nearest_first(providers):
    _, result, _, log = ask_provider(providers, "overpass")
    names = [place["name"] for place in result["places"]]
    assert names == ["Way Café", "Café 4", "Café 3", "Café 2", "Café 1", "Café 0"]
    assert result["places"][1]["distance_m"] == 111 and result["places"][1]["address"] == "KN 3 Ave 4"
    assert "around%3A900" in log[1]["body"] and "OpenStreetMap" in result["source"]


def test_a_radius_is_a_circle_to_google(providers):
    *_, log = ask_provider(providers, "google-places")
    assert json.loads(log[0]["body"])["textQuery"] == "Kimihurura"
    circle = json.loads(log[1]["body"])["locationBias"]["circle"]
    assert circle == {"center": {"latitude": -1.95, "longitude": 30.06}, "radius": 900}


def test_providers_are_told_whom_to_talk_to(providers):
    *_, log = ask_provider(providers, "nominatim", TOOLS_CONTACT="ops@chat.example")
    assert "(ops@chat.example)" in log[0]["headers"]["User-Agent"]


def test_nominatim_is_asked_in_turns(providers):
    *_, log = ask_provider(providers, "overpass")
    site = providers.site()
    settings = {**providers.settings("ok", site), "NOMINATIM_INTERVAL_MS": 60000, "TOOL_TIMEOUT_MS": 50000}
    code, _, _ = ask("places", {"query": "a"}, **settings)
    assert code == 0 and log


# ---- the command itself ----

def test_bad_arguments_are_complained_of():
    for arguments, words in (('{"location":', "not JSON"), ("{}", "location is missing"), ('{"location":1}', "type string")):
        code, result, complaint = ask("weather", arguments)
        assert (code, result) == (65, None) and words in complaint


def test_unknown_tools_are_complained_of():
    code, _, complaint = ask("teleport", "{}")
    assert code == 64 and "teleport" in complaint


def test_the_tools_are_listed_by_hand_too():
    env = environment(BAKAME_ENV="development")
    lines = subprocess.run([CONTROL_PROGRAM, "tool"], env=env, capture_output=True, text=True).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["weather", "currency", "news", "web_search", "places"]
