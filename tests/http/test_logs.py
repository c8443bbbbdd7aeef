"""What the log says, and what it never says."""
import json

import pytest

import replies
from script import FIN, reply, status, stream, text
from stack import API_KEY

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0"


@pytest.fixture
def talkative(start_stack):
    return start_stack(LOG_LEVEL="debug")


def everything(stack):
    return "".join(worker.stderr() for worker in stack.workers)


def test_every_line_is_one_json_object_with_level_and_time(talkative, model):
    talkative.chat(model.script(reply())).events()
    lines = talkative.worker.log()
    assert lines
    assert all(isinstance(line, dict) for line in lines)
    assert all({"debug", "info", "warn", "error"} & set(map(str, line.values())) for line in lines)


def test_a_request_is_logged_with_its_id_and_address(talkative, model):
    exchange = talkative.chat(model.script(reply()))
    exchange.events()
    lines = talkative.log_lines(exchange.header("X-Request-Id"))
    assert all("127.0.0.1" in line.values() for line in lines)


def test_a_failure_of_the_model_is_logged_with_the_request(talkative, model):
    exchange = talkative.chat(model.script(status(500)))
    exchange.read()
    levels = {value for line in talkative.log_lines(exchange.header("X-Request-Id")) for value in map(str, line.values())}
    assert levels & {"warn", "error"}


def test_keys_and_tokens_are_never_logged(talkative, model):
    echoing = replies.error(f"Incorrect API key provided: {API_KEY}, header Bearer {API_KEY}")
    headers = {"Authorization": f"Bearer {TOKEN}", "Cookie": f"bakame_session={TOKEN}"}
    talkative.chat(model.script(reply()), headers=headers).read()
    talkative.v1(model.script(status(401, echoing)), headers=headers).read()
    talkative.chat(model.script(stream(text("x"), ["event", echoing], FIN, finish=False))).read()
    talkative.get(f"/api/health/live?access_token={TOKEN}&api_key={API_KEY}").read()
    talkative.get(f"/nowhere?token={TOKEN}").read()
    log = everything(talkative)
    assert log
    assert API_KEY not in log
    assert TOKEN not in log


def test_what_people_say_is_not_logged(talkative, model):
    words = "my diagnosis is a private matter"
    talkative.chat(model.script(reply(pieces=["the answer is private too"])).text(words)).events()
    log = everything(talkative)
    assert words not in log and "the answer is private" not in log


@pytest.mark.parametrize("path", ["/a%0d%0a{\"level\":\"error\"}", "/%ff%fe", "/\"quoted\"\\", "/" + "x" * 5000, "/%00"])
def test_a_hostile_path_cannot_forge_lines(talkative, path):
    talkative.request("GET", path).read()
    talkative.get("/api/health/live").read()
    assert all(isinstance(line, dict) for line in talkative.worker.log())


def test_levels_below_the_configured_are_left_out(start_stack, model):
    stack = start_stack(LOG_LEVEL="info")
    stack.chat(model.script(reply())).events()
    assert not [line for line in stack.worker.log() if "debug" in map(str, line.values())]


def test_repeated_lines_do_not_flood(start_stack):
    """The same fault thousands of times: the log stays readable, and says how many there were."""
    stack = start_stack(OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    body = json.dumps({"messages": [{"role": "user", "content": "x"}], "model": "no-such-model"}).encode()
    with stack.fastcgi() as connection:
        for _ in range(3000):
            assert connection.ask("POST", "/api/chat", body, keep=True).status == 422
    assert len(everything(stack)) < 3000 * 1000
    assert len([line for line in stack.worker.log() if line.get("level") in ("warn", "error")]) < 3000
