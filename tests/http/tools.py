"""tools.py - what tests of tools share: calls as a model writes them, and what of them can be seen."""
import json

from replies import stream_chunks
from script import reply


def call(name, arguments, id="call_a"):
    """One call of a tool; arguments are a dict, or text as it is."""
    return {"id": id, "name": name, "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments)}


def weather(city="Kigali", id="call_w", **more):
    return call("weather", {"location": city, **more}, id)


def currency(amount=100, source="USD", target="RWF", id="call_c"):
    return call("currency", {"amount": amount, "from": source, "to": target}, id)


def asks(*calls, **options):
    """A model's answer that calls tools."""
    return reply(tool_calls=list(calls), **options)


def activity(events):
    """What the client was told of tools, in order."""
    return [event["bakame"]["tool"] for event in events if isinstance(event, dict) and "tool" in event.get("bakame", {})]


def ends(events):
    """The last word on each call, by its id."""
    return {tool["id"]: tool for tool in activity(events) if tool["status"] != "running"}


def asked(script, round):
    """The body of the model's request of that round."""
    return json.loads(script.log()[round]["body"])


def results(script, round=1):
    """What the model was told by tools before that round, by id of the call."""
    return {message["tool_call_id"]: json.loads(message["content"])
            for message in asked(script, round)["messages"] if message["role"] == "tool"}


def finish_reasons(events):
    return [choice["finish_reason"] for event in events if isinstance(event, dict)
            for choice in event.get("choices", []) if choice.get("finish_reason")]


def chunks_of_calls(*calls, **options):
    """The chunks that `asks` would send, to be sent another way."""
    return list(stream_chunks(tool_calls=list(calls), **options))
