"""Workers that share a socket share the work."""
import time

from script import gate, stream, text

WORKERS = 4
STREAMS = 200
LARGEST_SHARE, SMALLEST_SHARE = 0.40, 0.10
TIMES = 4


def shares(stack, model):
    """Of many streams at once."""
    before = [worker.sockets() for worker in stack.workers]
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchanges = [stack.chat(script) for _ in range(STREAMS)]
    for exchange in exchanges:
        assert exchange.next_text() == "one"
    grown = [worker.sockets() - count for worker, count in zip(stack.workers, before)]
    script.open("go")
    assert [exchange.events()[-1] for exchange in exchanges] == ["[DONE]"] * STREAMS
    return [count / sum(grown) for count in grown]


def test_no_worker_holds_more_than_its_share(start_stack, model):
    """Once in a few times: who does not get to run for 20 ms, on a busy machine, takes no more than it can."""
    found = []
    while not found or not (max(found[-1]) <= LARGEST_SHARE and min(found[-1]) >= SMALLEST_SHARE):
        assert len(found) < TIMES, found
        stack = start_stack(workers=WORKERS)
        stack.assert_serves()
        found.append(shares(stack, model))


def test_a_socket_that_blocks_again_holds_nobody_up(start_stack):
    """systemd makes the shared socket a blocking one whenever it starts another worker: one that loses the race for a
    connection must not wait for the next in accept()."""
    stack = start_stack(workers=2)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        stack.listener.setblocking(True)
        connections = [stack.fastcgi() for _ in range(3)]
        for connection in connections:
            assert connection.ask("GET", "/api/health/live").status == 200
            connection.close()
