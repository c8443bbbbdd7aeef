"""Tools in a turn: the model calls them, the server runs them, the answer goes on."""
import json

import pytest

import replies
from client import event_text, is_complete, text_of
from contract import assert_error, is_chunk
from script import DONE, FINISH, SSE_HEAD, event, reply, status
from tools import activity, asked, asks, call, chunks_of_calls, currency, ends, finish_reasons, results, weather

ANSWER = reply(pieces=["It", " rains", "."])


def tools_offered(body):
    return [tool["function"]["name"] for tool in body.get("tools", [])]


# ---- a turn with a tool ----

def test_the_model_hears_what_the_tool_found_and_answers(tools_stack, model):
    script = model.script(asks(weather("Kigali", days=2)), ANSWER)
    events = tools_stack.chat(script).events()
    assert is_complete(events) and text_of(events) == "It rains."
    (told,) = results(script).values()
    assert told["location"].startswith("Kigali") and told["timezone"] == "Africa/Kigali"
    assert [day["date"] for day in told["days"]] == ["2026-01-01", "2026-01-02"]
    assert told["units"]["temperature"] == "°C" and told["source"] == "Open-Meteo" and told["retrieved_at"].endswith("Z")


def test_the_second_request_repeats_the_call_as_the_api_wants_it(tools_stack, model):
    script = model.script(asks(weather(), currency()), ANSWER)
    tools_stack.chat(script).read()
    user, assistant, *told = asked(script, 1)["messages"]
    assert user["role"] == "user"
    assert assistant == {"role": "assistant", "content": None, "tool_calls": [
        {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
        for c in (weather(), currency())]}
    assert [message["tool_call_id"] for message in told] == ["call_w", "call_c"]


def test_activity_is_streamed_as_the_contract_has_it(tools_stack, model):
    script = model.script(asks(weather("Huye")), ANSWER)
    events = tools_stack.chat(script).events()
    running, done = activity(events)
    assert running == {"id": "call_w", "name": "weather", "arguments": {"location": "Huye"}, "status": "running"}
    assert list(done) == ["id", "name", "status", "cached", "ms", "result"]
    assert (done["status"], done["cached"]) == ("done", False) and done["ms"] >= 0
    assert done["result"] == results(script)["call_w"]
    for chunk in events[:-1]:
        assert is_chunk(chunk)
        assert "bakame" not in chunk or chunk["choices"] == []
    assert len({chunk["id"] for chunk in events[:-1]}) == 1


def test_past_rates_are_for_the_person_and_their_sum_for_the_model(tools_stack, model):
    script = model.script(asks(currency(2, "USD", "RWF")), ANSWER)
    shown = ends(tools_stack.chat(script).events())["call_c"]["result"]
    told = results(script)["call_c"]
    assert len(shown["series"]) == shown["history"]["days"] >= 20
    assert told == {name: value for name, value in shown.items() if name != "series"}
    assert len(json.dumps(told)) < 800
    script = model.script(asks(currency(2, "USD", "RWF")), ANSWER)
    whole = tools_stack.chat(script, stream=False).json()
    assert whole["bakame"]["tools"][0]["result"]["series"] == shown["series"]


def test_activity_comes_before_the_answer(tools_stack, model):
    script = model.script(asks(weather()), ANSWER)
    events = tools_stack.chat(script).events()
    first_text = next(i for i, chunk in enumerate(events) if event_text(chunk))
    last_tool = max(i for i, chunk in enumerate(events[:-1]) if "tool" in chunk.get("bakame", {}))
    assert last_tool < first_text


def test_running_is_told_while_the_tool_runs(start_stack, model, providers):
    site = providers.site()
    stack = start_stack(**providers.settings("held", site))
    exchange = stack.chat(model.script(asks(weather()), ANSWER))
    while not (tools := activity([exchange.next_event()])):
        pass
    assert tools[0]["status"] == "running"
    providers.behave(site, "ok")            # which is what it waits for
    assert ends(exchange.events())["call_w"]["status"] == "done"


def test_calls_of_tools_and_their_end_are_not_passed_on(tools_stack, model):
    events = tools_stack.chat(model.script(asks(weather()), ANSWER)).events()
    assert "tool_calls" not in json.dumps([chunk.get("choices") for chunk in events[:-1]])
    assert finish_reasons(events) == ["stop"]


def test_the_role_is_told_once(tools_stack, model):
    events = tools_stack.chat(model.script(asks(weather()), ANSWER)).events()
    roles = [chunk["choices"][0]["delta"].get("role") for chunk in events[:-1] if chunk["choices"]]
    assert [role for role in roles if role] == ["assistant"]


def test_text_before_a_call_is_passed_on_and_remembered(tools_stack, model):
    words = "Let me look: “où” \"x\" \\ 🌧 "
    script = model.script(asks(weather(), pieces=[words[:9], words[9:]]), ANSWER)
    assert text_of(tools_stack.chat(script).events()) == words + "It rains."
    assert asked(script, 1)["messages"][1]["content"] == words


def test_usage_is_summed_over_rounds(tools_stack, model):
    events = tools_stack.chat(model.script(asks(weather()), asks(currency()), ANSWER)).events()
    usages = [chunk["usage"] for chunk in events[:-1] if chunk.get("usage")]
    assert usages == [{name: 3 * count for name, count in replies.USAGE.items()}]


def test_an_answer_without_tools_keeps_the_models_own_words(tools_stack, model):
    chunk = dict(replies.text_chunk("x"), service_tier="default", system_fingerprint=None)
    events = tools_stack.chat(model.script([SSE_HEAD, event(chunk), FINISH, DONE])).events()
    assert {**chunk, "id": events[1]["id"]} in events


def test_not_streamed_it_is_all_in_one_completion(tools_stack, model):
    script = model.script(asks(weather(), call("weather", {}, "call_bad"), pieces=["Wait."]), ANSWER)
    answer = tools_stack.chat(script, stream=False).json()
    assert answer["choices"][0]["message"]["content"] == "It rains."
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {name: 2 * count for name, count in replies.USAGE.items()}
    done, failed = answer["bakame"]["tools"]
    assert (done["id"], done["status"], done["arguments"]) == ("call_w", "done", {"location": "Kigali"})
    assert done["result"]["location"].startswith("Kigali")
    assert failed["status"] == "failed" and "location" in failed["error"]
    assert asked(script, 1)["messages"][1]["content"] == "Wait."


def test_a_tool_can_be_called_round_after_round(tools_stack, model):
    script = model.script(asks(weather(id="a")), asks(currency(id="b")), asks(weather("Huye", id="c")), ANSWER)
    events = tools_stack.chat(script).events()
    assert list(ends(events)) == ["a", "b", "c"]
    assert [m["role"] for m in asked(script, 3)["messages"]] == ["user"] + ["assistant", "tool"] * 3


# ---- what the model may get wrong ----

@pytest.mark.parametrize("arguments, says", [
    ({}, "location is missing"),
    ({"location": 7}, "location must be of type string"),
    ({"location": ""}, "location must have at least 1 characters"),
    ({"location": "x" * 121}, "location must have at most 120 characters"),
    ({"location": "Kigali", "days": 0}, "days must be at least 1"),
    ({"location": "Kigali", "days": 2.5}, "days must be of type integer"),
    ({"location": "Kigali", "units": "kelvin"}, "units must be one of"),
    ({"location": "Kigali", "planet": "Mars"}, "planet is not known"),
    ('{"location": "Kig', "not JSON"),
    ("[1]", "must be of type object"),
    ("7", "JSON"),
    ('{"location":"a","location":"b"}', "twice"),
    ('{"location":"a\\u0000"}', "NUL"),
])
def test_bad_arguments_are_told_to_the_model_which_mends_them(tools_stack, model, arguments, says):
    script = model.script(asks(call("weather", arguments, "bad")), asks(weather(id="good")), ANSWER)
    events = tools_stack.chat(script).events()
    assert says in results(script)["bad"]["error"]
    assert ends(events)["bad"]["status"] == "failed" and says in ends(events)["bad"]["error"]
    assert ends(events)["good"]["status"] == "done" and is_complete(events)


def test_optional_members_may_be_null_and_arguments_missing(tools_stack, model):
    script = model.script(asks(call("weather", {"location": "Kigali", "days": None}, "a"), call("weather", "", "b")), ANSWER)
    events = tools_stack.chat(script).events()
    assert ends(events)["a"]["status"] == "done"
    assert "location is missing" in ends(events)["b"]["error"]


def test_a_tool_that_there_is_not_is_told_to_the_model(tools_stack, model):
    script = model.script(asks(call("teleport", {"to": "Mars"})), ANSWER)
    events = tools_stack.chat(script).events()
    assert "no tool of that name" in results(script)["call_a"]["error"]
    assert activity(events)[0]["arguments"] == {"to": "Mars"}
    assert is_complete(events)


def test_arguments_past_their_maximum_are_refused(tools_stack, model):
    script = model.script(asks(call("weather", {"location": "x" * 70_000}, "big"), weather()), ANSWER)
    events = tools_stack.chat(script).events()
    assert "too long" in ends(events)["big"]["error"] and ends(events)["call_w"]["status"] == "done"


def test_after_six_rounds_the_model_is_asked_without_tools(tools_stack, model):
    script = model.script(*[asks(weather(id=f"r{i}")) for i in range(6)], ANSWER)
    assert text_of(tools_stack.chat(script, tool_choice="auto").events()) == "It rains."
    assert [len(tools_offered(asked(script, i))) > 0 for i in range(7)] == [True] * 6 + [False]


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_never_stops_calling_still_ends(tools_stack, model, stream):
    script = model.script(asks(weather()))
    exchange = tools_stack.chat(script, stream=stream)
    if stream:
        events = exchange.events()
        assert is_complete(events) and finish_reasons(events) == ["stop"]
        (usage,) = [chunk["usage"] for chunk in events[:-1] if chunk.get("usage")]
    else:
        answer = exchange.json()
        usage = answer["usage"]
        assert answer["choices"][0]["finish_reason"] == "stop" and "tool_calls" not in answer["choices"][0]["message"]
    assert usage["total_tokens"] == 7 * replies.USAGE["total_tokens"]
    assert len(script.log()) == 7


def test_more_than_sixteen_calls_are_not_made(tools_stack, model):
    script = model.script(*[asks(*[weather(id=f"{r}-{i}") for i in range(10)]) for r in range(2)], ANSWER)
    events = tools_stack.chat(script).events()
    states = sorted(tool["status"] for tool in ends(events).values())
    assert states == ["done"] * 16 + ["failed"] * 4
    assert tools_offered(asked(script, 2)) == []


# ---- how servers write calls ----

def raw(*deltas, finish="tool_calls"):
    chunks = [replies.chunk({"role": "assistant", "content": None})] + [replies.chunk({"tool_calls": d}) for d in deltas]
    return [SSE_HEAD, *map(event, chunks), event(replies.chunk(finish_reason=finish)), DONE]


WHOLE = {"function": {"name": "weather", "arguments": '{"location":"Kigali"}'}}


@pytest.mark.parametrize("behaviour, ids", [
    (raw([{"id": "a", "type": "function", **WHOLE}], [{"id": "b", **WHOLE}]), ["a", "b"]),          # no index
    (raw([{"index": 0, "id": "a", **WHOLE}], [{"index": 0, "id": "b", **WHOLE}]), ["a", "b"]),      # all of one index
    (raw([{"index": 0, **WHOLE}, {"index": 1, **WHOLE}]), ["call_1", "call_2"]),                    # no ids
    (raw([{"index": 0, "id": "", **WHOLE}], [{"index": 1, "id": None, **WHOLE}]), ["call_1", "call_2"]),
    (raw([{"index": 0, "id": "a", "function": {"name": "weather", "arguments": {"location": "Kigali"}}}]), ["a"]),
    (raw([{"index": 1, "id": "a", **WHOLE}], [{"index": 0, "id": "b", **WHOLE}]), ["a", "b"]),      # out of order
    (raw([{"index": 0, "id": "a", **WHOLE}], finish="stop"), ["a"]),
    (raw([{"index": 0, "id": "a", "function": {"name": "weather", "arguments": '{"location":'}}],
         [{"index": 0, "id": "a", "function": {"name": "weather", "arguments": '"Kigali"}'}}]), ["a"]),     # all said again
    (raw([{"id": "a", "function": {"name": "weather"}}], [{"function": {"arguments": '{"location":"Kigali"}'}}]), ["a"]),
])
def test_the_habits_of_servers_are_borne(tools_stack, model, behaviour, ids):
    script = model.script(behaviour, ANSWER)
    events = tools_stack.chat(script).events()
    assert {id: tool["status"] for id, tool in ends(events).items()} == {id: "done" for id in ids}
    assert finish_reasons(events) == ["stop"]


def test_calls_may_arrive_byte_by_byte(tools_stack, model):
    chunks = chunks_of_calls(weather("Huye – “x”"), currency())
    script = model.script([SSE_HEAD, ["bytewise"], *map(event, chunks), DONE], ANSWER)
    events = tools_stack.chat(script).events()
    assert [tool["status"] for tool in ends(events).values()] == ["done", "done"]
    assert activity(events)[0]["arguments"] == {"location": "Huye – “x”"}


# ---- who may use what ----

def test_tools_can_be_switched_off_and_chosen(tools_stack, model):
    for choice, names in ((False, []), (["currency"], ["currency"]), ([], [])):
        script = model.script(reply())
        tools_stack.chat(script, tools=choice).read()
        assert tools_offered(asked(script, 0)) == names


def test_a_tool_that_was_not_chosen_does_not_run(tools_stack, model):
    script = model.script(asks(weather()), ANSWER)
    events = tools_stack.chat(script, tools=["currency"]).events()
    assert "no tool of that name" in ends(events)["call_w"]["error"]


def test_unknown_names_are_refused(tools_stack):
    assert "tools[1]" in assert_error(tools_stack.chat("x", tools=["weather", "teleport"]), "unprocessable")


def test_an_operator_can_switch_tools_off(start_stack, model):
    stack = start_stack(TOOLS_ENABLED="none")
    script = model.script(reply())
    stack.chat(script).read()
    assert "tools" not in asked(script, 0)
    assert not any(tool["enabled"] for tool in stack.get("/api/tools").json()["tools"])


def test_a_wrong_name_in_the_settings_is_told(start_stack):
    stack = start_stack(TOOLS_ENABLED="weather,wether")
    assert any(line.get("tool") == "wether" and line["level"] == "warn" for line in stack.worker.log())


def test_the_tools_are_listed(tools_stack):
    listed = {tool["name"]: tool for tool in tools_stack.get("/api/tools").json()["tools"]}
    weather_tool = listed["weather"]
    assert (weather_tool["configured"], weather_tool["enabled"], weather_tool["provider"]) == (True, True, "Open-Meteo")
    assert weather_tool["parameters"]["required"] == ["location"] and weather_tool["ttl_seconds"] == 600
    assert listed["currency"]["ttl_seconds"] == 300


# ---- models without tools ----

@pytest.mark.parametrize("refusal", [
    status(400, replies.error("registry.ollama.ai/library/tiny does not support tools", "api_error")),
    status(400, replies.error('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')),
    status(500, replies.error("tools param requires --jinja flag")),
    status(404, replies.error("No endpoints found that support tool use.")),
], ids=["ollama", "vllm", "llama.cpp", "openrouter"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_takes_no_tools_is_asked_without_and_remembered(start_stack, model, refusal, stream):
    stack = start_stack()
    first, second = model.script(refusal, ANSWER), model.script(ANSWER)
    exchange = stack.chat(first, stream=stream)
    if stream:
        assert text_of(exchange.events()) == "It rains."
    else:
        assert exchange.json()["choices"][0]["message"]["content"] == "It rains."
    assert [bool(tools_offered(asked(first, i))) for i in range(2)] == [True, False]
    stack.chat(second).read()
    assert tools_offered(asked(second, 0)) == []


def test_another_refusal_is_the_clients_to_know(tools_stack, model):
    script = model.script(status(400, replies.error("temperature is too high")))
    assert "temperature" in assert_error(tools_stack.chat(script), "invalid_request")
    assert len(script.log()) == 1


# ---- /v1 ----

def test_v1_runs_our_tools_and_says_nothing_of_them(tools_stack, model):
    script = model.script(asks(weather(), pieces=["Wait. "]), ANSWER)
    events = tools_stack.v1(script, stream=True).events()
    assert text_of(events) == "Wait. It rains." and finish_reasons(events) == ["stop"]
    assert "bakame" not in json.dumps(events) and "tool_calls" not in json.dumps(events)
    assert results(script)["call_w"]["source"] == "Open-Meteo"


def test_v1_runs_our_tools_for_a_completion(tools_stack, model):
    answer = tools_stack.v1(model.script(asks(weather()), ANSWER)).json()
    assert answer["choices"][0]["message"]["content"] == "It rains." and "bakame" not in answer
    assert answer["usage"]["total_tokens"] == 2 * replies.USAGE["total_tokens"]


def test_v1_leaves_tools_alone_when_told_to(tools_stack, model):
    script = model.script(asks(weather()))
    answer = tools_stack.v1(script, headers={"X-Bakame-Tools": "off"}).json()
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    assert "tools" not in asked(script, 0)


@pytest.mark.parametrize("members", [{"n": 2}, {"tool_choice": "none"}, {"functions": [{"name": "f"}]}, {"tools": []}])
def test_v1_offers_none_where_they_would_not_fit(tools_stack, model, members):
    script = model.script(reply())
    assert tools_stack.v1(script, **members).status == 200
    assert asked(script, 0).get("tools", []) == []


def test_a_forced_choice_holds_for_the_first_round_only(tools_stack, model):
    script = model.script(asks(weather()), ANSWER)
    tools_stack.v1(script, tool_choice="required").read()
    assert asked(script, 0)["tool_choice"] == "required" and "tool_choice" not in asked(script, 1)
