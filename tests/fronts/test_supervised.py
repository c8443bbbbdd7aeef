"""Workers under spawn-fcgi alone, and under multiwatch: one that dies comes back, and all drain when it is told to end."""
import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import fcgi
import process
from client import DONE
from nginx import FRONT, Nginx
from script import gate, stream, text
from stack import Stack, wait_until
from worker import PROGRAM, environment

MULTIWATCH = shutil.which("multiwatch")
SECONDS = 120           # past them what is waited for does not come


class Supervised(Stack):
    """A Stack whose workers spawn-fcgi starts, as INSTALL says."""

    def __init__(self, directory, model, program, workers=None, **settings):
        self.program, self.count = program, workers
        # a stream that a test holds outlasts any pause that a busy machine makes
        super().__init__(directory, model, workers=0, **{"DRAIN_SECONDS": 300, **settings})

    def start_front(self):
        self.listener.close()
        self.socket_path.unlink()
        pids = self.directory / "pids"
        # spawn-fcgi gives its children /dev/null for standard error
        command = ["/bin/sh", "-c", f'exec "$@" 2>>{self.directory}/worker-0.log', "-", *self.program]
        subprocess.run(["spawn-fcgi", "-s", str(self.socket_path), "-b", "4096", "-P", str(pids),
                        *(["-F", str(self.count)] if self.count else []), "--", *command],
                       env=environment(**self.settings), check=True, stdout=subprocess.DEVNULL, preexec_fn=process.end_with_parent)
        self.leaders = [int(pid) for pid in pids.read_text().split()]
        return Nginx(self.directory / "front", FRONT, socket=self.socket_path, uploads=self.directory)

    def pids(self):
        """The workers that live."""
        found = []
        for leader in self.leaders:
            try:
                children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
            except OSError:
                continue        # it has ended
            found += [leader] if not MULTIWATCH or MULTIWATCH not in self.program else map(int, children)
        return list(filter(alive, found))

    def wait_ready(self):
        wait_until(lambda: len(self.pids()) == (self.count or 2), SECONDS, "the workers")
        with fcgi.Connection(self.socket_path) as connection:
            assert connection.ask("GET", "/api/health/live").status == 200

    def close(self):
        for exchange in self.exchanges:
            exchange.close()    # whose streams would be waited for
        for leader in filter(alive, getattr(self, "leaders", [])):
            with contextlib.suppress(ProcessLookupError):
                os.kill(leader, signal.SIGTERM)
        wait_until(lambda: not any(map(alive, getattr(self, "leaders", []))), SECONDS, "the end of all")
        super().close()


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False            # ended while we looked


@pytest.fixture
def start(tmp_path, model):
    stacks = []

    def start(program, **options):
        stacks.append(Supervised(tmp_path, model, program, **options))
        return stacks[-1]
    yield start
    for stack in stacks:
        stack.close()


def test_spawn_fcgi_starts_several_and_each_drains(start, model):
    stack = start([str(PROGRAM)], workers=3)
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchange = stack.chat(script)
    assert exchange.next_text() == "one"
    for leader in stack.leaders:
        os.kill(leader, signal.SIGTERM)
    wait_until(lambda: len(stack.pids()) <= 1, SECONDS, "the end of those without a stream")
    script.open("go")
    assert exchange.next_text() == "two" and exchange.events()[-1] == DONE
    wait_until(lambda: not stack.pids(), SECONDS, "the end of the last")


@pytest.mark.skipif(not MULTIWATCH, reason="no multiwatch here")
def test_multiwatch_brings_one_back_that_died(start):
    stack = start([MULTIWATCH, "-f", "2", "--", str(PROGRAM)])
    died = stack.pids()[0]
    os.kill(died, signal.SIGKILL)
    wait_until(lambda: len(stack.pids()) == 2 and died not in stack.pids(), SECONDS, "another")
    stack.assert_serves()


@pytest.mark.skipif(not MULTIWATCH, reason="no multiwatch here")
def test_multiwatch_that_is_told_to_end_lets_streams_end(start, model):
    """It passes TERM on as USR1."""
    stack = start([MULTIWATCH, "-f", "2", "--", str(PROGRAM)])
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchange = stack.chat(script)
    assert exchange.next_text() == "one"
    os.kill(stack.leaders[0], signal.SIGTERM)
    wait_until(lambda: len(stack.pids()) <= 1, SECONDS, "the end of the one without a stream")
    script.open("go")
    assert exchange.next_text() == "two" and exchange.events()[-1] == DONE
