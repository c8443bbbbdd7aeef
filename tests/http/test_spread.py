"""Workers that share a socket share the work."""
import time

from script import gate, stream, text

WORKERS = 4
STREAMS = 200
LARGEST_SHARE = 0.40


def test_no_worker_holds_more_than_its_share(start_stack, model):
    stack = start_stack(workers=WORKERS)
    stack.assert_serves()
    before = [worker.sockets() for worker in stack.workers]
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchanges = [stack.chat(script) for _ in range(STREAMS)]
    for exchange in exchanges:
        assert exchange.next_text() == "one"
    grown = [worker.sockets() - count for worker, count in zip(stack.workers, before)]
    shares = [count / sum(grown) for count in grown]
    assert max(shares) <= LARGEST_SHARE, shares
    assert min(shares) >= 0.10, shares
    script.open("go")
    assert [exchange.events()[-1] for exchange in exchanges] == ["[DONE]"] * STREAMS


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
