"""A worker is killed: the others go on, whatever it was doing."""
from client import text_of
from script import HANG, gate, reply, stream, text

STREAMS = 120


def held_streams(stack, model):
    script = model.script(stream(text("one"), gate("go"), text("two")))
    before = [worker.sockets() for worker in stack.workers]
    exchanges = [stack.chat(script) for _ in range(STREAMS)]
    for exchange in exchanges:
        assert exchange.next_text() == "one"
    grown = [worker.sockets() - count for worker, count in zip(stack.workers, before)]
    return script, exchanges, grown


def test_streams_of_the_other_worker_all_complete(start_stack, model):
    stack = start_stack(workers=2)
    script, exchanges, grown = held_streams(stack, model)
    stack.workers[0].kill()
    survivors = round(STREAMS * grown[1] / sum(grown))
    script.wait("gone", count=STREAMS - survivors)
    script.open("go")
    endings = [exchange.events() for exchange in exchanges]
    complete = [events for events in endings if events and events[-1] == "[DONE]"]
    assert len(complete) == survivors
    assert all(text_of(events) == "two" for events in complete)
    assert not any(text_of(events) for events in endings if events not in complete)


def test_new_chats_are_served_after_a_kill(start_stack, model):
    stack = start_stack(workers=2)
    stack.assert_serves()
    stack.workers[1].kill()
    failed = 0
    for _ in range(20):
        # NGINX learns of kept connections to the dead worker one by one, if it had any.
        exchange = stack.chat(model.script(reply()))
        failed += exchange.status != 200
        exchange.read()
    assert failed <= 1


def test_killed_again_and_again_shared_memory_stays_sound(start_stack, model):
    stack = start_stack(workers=2)
    for _ in range(8):
        script = model.script(stream(text("one"), HANG))
        for _ in range(10):
            stack.chat(script)
        victim = stack.workers[-1]
        script.wait("received", count=10)
        victim.kill()
        stack.start_worker()
        stack.wait_started()
    with stack.fastcgi() as connection:
        assert connection.ask("GET", "/api/health/ready").status == 200
