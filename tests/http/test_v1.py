"""The OpenAI-compatible paths: what a client library sends and expects."""
import json

import replies
from contract import assert_error
from script import reply
from stack import MODEL

TOOLS = [{"type": "function",
          "function": {"name": "weather", "strict": True,
                       "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]
CALLS = [{"id": "call_1", "name": "weather", "arguments": '{"city":"Kigali"}'},
         {"id": "call_2", "name": "weather", "arguments": '{"city":"Huye – \\"x\\""}'}]


def upstream_body(script, index=0):
    return json.loads(script.log()[index]["body"])


def choices_of(events):
    return [event["choices"] for event in events if event != "[DONE]" and event["choices"]]


def test_without_stream_there_is_one_completion(shared_stack, model):
    exchange = shared_stack.v1(model.script(reply()))
    assert exchange.header("Content-Type").startswith("application/json")
    assert exchange.json()["object"] == "chat.completion"


def test_stream_ends_with_done(shared_stack, model):
    exchange = shared_stack.v1(model.script(reply()), stream=True)
    assert exchange.header("Content-Type").startswith("text/event-stream")
    assert exchange.events()[-1] == "[DONE]"


def test_usage_is_streamed_when_asked_for(shared_stack, model):
    exchange = shared_stack.v1(model.script(reply()), stream=True, stream_options={"include_usage": True})
    with_usage = [event for event in exchange.events()[:-1] if event.get("usage")]
    assert [(event["choices"], event["usage"]) for event in with_usage] == [([], replies.USAGE)]


def test_usage_is_not_streamed_unasked(shared_stack, model):
    exchange = shared_stack.v1(model.script(reply()), stream=True)
    assert not [event for event in exchange.events()[:-1] if event.get("usage")]


def test_fields_we_do_not_know_reach_the_model(shared_stack, model):
    script = model.script(reply())
    fields = {"temperature": 0.25, "top_p": 1, "seed": 12345678901, "stop": ["a", "b"], "n": 1,
              "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
              "logit_bias": {"50256": -100}, "user": "someone", "some_future_field": {"deep": [None, True]}}
    assert shared_stack.v1(script, **fields).status == 200
    asked = upstream_body(script)
    assert {name: asked.get(name) for name in fields} == fields


def test_tools_of_the_client_reach_the_model_unchanged(shared_stack, model):
    script = model.script(reply())
    choice = {"type": "function", "function": {"name": "weather"}}
    shared_stack.v1(script, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False).read()
    asked = upstream_body(script)
    assert (asked["tools"], asked["tool_choice"], asked["parallel_tool_calls"]) == (TOOLS, choice, False)


def test_streamed_tool_calls_come_through_fragment_by_fragment(shared_stack, model):
    exchange = shared_stack.v1(model.script(reply(tool_calls=CALLS)), stream=True, tools=TOOLS)
    sent = [chunk["choices"] for chunk in replies.stream_chunks(tool_calls=CALLS)]
    assert choices_of(exchange.events()) == sent


def test_tool_calls_come_through_a_completion(shared_stack, model):
    exchange = shared_stack.v1(model.script(reply(tool_calls=CALLS)), tools=TOOLS)
    choice = exchange.json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"] == \
        replies.completion(tool_calls=CALLS)["choices"][0]["message"]["tool_calls"]


def test_results_of_tools_go_back_to_the_model(shared_stack, model):
    script = model.script(reply())
    assistant = replies.completion(tool_calls=CALLS)["choices"][0]["message"]
    messages = [{"role": "user", "content": script.text()}, assistant,
                {"role": "tool", "tool_call_id": "call_1", "content": '{"rain":true}'},
                {"role": "tool", "tool_call_id": "call_2", "content": '{"rain":false}'}]
    exchange = shared_stack.post("/v1/chat/completions",
                                 {"model": MODEL, "messages": messages, "tools": TOOLS})
    assert exchange.status == 200
    assert upstream_body(script)["messages"] == messages


def test_several_choices_keep_their_index(shared_stack, model):
    chunks = [replies.chunk({"content": f"<{index}>"}, index=index) for index in (0, 1, 0, 1)]
    steps = [["head", 200, [["Content-Type", "text/event-stream"], ["Transfer-Encoding", "chunked"]]],
             *(["event", chunk] for chunk in chunks), ["event", "[DONE]"]]
    exchange = shared_stack.v1(model.script(steps), stream=True, n=2)
    assert choices_of(exchange.events()) == [chunk["choices"] for chunk in chunks]


def test_models_are_listed(start_stack):
    stack = start_stack(OPENAI_MODELS="other-model,third-model")
    exchange = stack.get("/v1/models")
    listing = exchange.json()
    assert exchange.status == 200
    assert listing["object"] == "list"
    assert {entry["id"] for entry in listing["data"]} == {MODEL, "other-model", "third-model"}
    assert all(entry["object"] == "model" for entry in listing["data"])


def test_a_listed_model_may_be_asked_and_no_other(start_stack, model):
    stack = start_stack(OPENAI_MODELS="other-model,third-model")
    script = model.script(reply())
    assert stack.v1(script, model="third-model").status == 200
    assert upstream_body(script)["model"] == "third-model"
    assert "no-such-model" in assert_error(stack.v1("Hello", model="no-such-model"), "unprocessable")


def test_any_model_may_be_asked_where_the_operator_says_so(start_stack, model):
    stack = start_stack(OPENAI_MODELS="*")
    script = model.script(reply())
    assert stack.v1(script, model="whatever/else:7b").status == 200
    assert upstream_body(script)["model"] == "whatever/else:7b"


def test_queries_in_the_address_do_not_matter(shared_stack):
    assert shared_stack.get("/v1/models?limit=20&after=x").status == 200
