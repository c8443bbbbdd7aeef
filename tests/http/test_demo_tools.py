"""The demo model in front of the real tools: plain questions, providers that are there or not."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

import process
from client import is_complete, text_of
from tools import ends

PROGRAM = Path(__file__).resolve().parents[2] / "demo" / "model.py"


class Demo:
    """The demo model as an upstream of a stack."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, PROGRAM, "--tokens-per-second", "0"], stderr=subprocess.PIPE, text=True,
                                        preexec_fn=process.end_with_parent)
        port = re.search(r"127\.0\.0\.1:(\d+)/v1", self.process.stderr.readline()).group(1)
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def stop(self):
        process.stop(self.process)
        self.process.stderr.close()


@pytest.fixture(scope="module")
def demo():
    model = Demo()
    yield model
    model.stop()


QUESTIONS = [
    ("Will it rain in Huye tomorrow?", {"weather": {"location": "Huye"}}, "°C"),
    ("Convert 100 USD to RWF", {"currency": {"amount": 100, "from": "USD", "to": "RWF"}}, "100 USD = 145025 RWF"),
    ("What's in the news?", {"news": {}}, "Kigali"),
    ("Search the web for mountain gorillas", {"web_search": {"query": "mountain gorillas"}}, "[Mountain Gorillas 0]"),
    ("Cafes near Kimihurura?", {"places": {"query": "cafe", "near": "Kimihurura"}}, "Café"),
    ("Weather in Kigali, and 5 USD in RWF?", {"weather": {"location": "Kigali"}, "currency": {"amount": 5, "from": "USD", "to": "RWF"}},
     "7251 RWF"),
]


@pytest.mark.parametrize("question, calls, words", QUESTIONS)
def test_plain_questions_use_the_tools(start_stack, providers, demo, question, calls, words):
    stack = start_stack(upstream=demo, OPENAI_MODEL="bakame-demo", **providers.settings("ok"))
    events = stack.chat(question).events()
    running = [event["bakame"]["tool"] for event in events[:-1] if event.get("bakame", {}).get("tool", {}).get("status") == "running"]
    assert {tool["name"]: tool["arguments"] for tool in running} == calls
    assert all(tool["status"] == "done" for tool in ends(events).values())
    assert is_complete(events) and words in text_of(events)


def test_where_providers_cannot_be_reached_the_answer_goes_on(start_stack, providers, demo):
    stack = start_stack(upstream=demo, OPENAI_MODEL="bakame-demo", **providers.settings("reset"))
    events = stack.chat("Weather in Kigali, and 5 USD in RWF?").events()
    assert [tool["status"] for tool in ends(events).values()] == ["failed", "failed"]
    assert is_complete(events)
    assert "The weather tool failed" in text_of(events) and "The currency tool failed" in text_of(events)
