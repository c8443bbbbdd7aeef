"""./quickstart run: from a checkout to a page that works, and back to nothing."""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from checkout import Checkout, Run, is_alive, kill, missing_packages
from client import is_complete, text_of
from stack import wait_until

SERVICES = {"nginx", "bakame-fcgi", "bakame-jobs", "redis-server", "postgres"}
STREAM_SECONDS = 0.5    # the demo model speaks for longer than that
TRIES = 5
SECONDS = 300           # past them what is waited for does not come

# One at a time: ports of what it starts it takes where it finds them free.
pytestmark = [pytest.mark.limit(1500), pytest.mark.xdist_group("quickstart")]


@pytest.fixture(scope="module")
def checkout():
    """Open to the users of the services, as pytest's own directories are not."""
    if os.getuid() != 0:
        pytest.skip("not root: the services would run as one user, and what is checked here is that they do not")
    if missing := missing_packages():
        pytest.skip(f"not installed: {' '.join(missing)}")
    directory = Path(tempfile.mkdtemp(prefix="bakame-quickstart-"))
    directory.chmod(0o755)
    copy = Checkout(directory)
    yield copy
    for pid in copy.processes():        # none, unless a test failed
        kill(pid)
    copy.clean()
    shutil.rmtree(directory)


@pytest.fixture
def start(checkout):
    """start(PORT..., settings) gives a Run, which is ended after the test."""
    runs = []

    def start_run(**options):
        runs.append(Run(checkout, **options))
        return runs[-1]
    yield start_run
    for run in runs:
        run.finish()
    assert checkout.processes() == {}


@pytest.fixture
def running(start):
    run = start()
    run.wait_started()
    return run


@pytest.fixture
def bystander(checkout):
    """Somebody else's process, in the same place."""
    checkout.run_directory.mkdir(exist_ok=True)
    process = subprocess.Popen(["sleep", "infinity"], cwd=checkout.directory)
    yield process
    process.kill()
    process.wait()


def ask(run, question):
    body = json.dumps({"messages": [{"role": "user", "content": question}]})
    return run.request("POST", "/api/chat", body, **{"Content-Type": "application/json"})


def assert_chats(run):
    exchange = ask(run, "Muraho!")
    assert exchange.status == 200
    events = exchange.events()
    assert is_complete(events) and "Muraho" in text_of(events)
    exchange.close()


def test_the_address_that_it_prints_serves_the_page(start):
    run = start()
    address, _ = run.wait_started()
    assert address == f"http://127.0.0.1:{run.port}/"
    page = run.request("GET", "/")
    assert page.status == 200
    document = page.read().decode()
    assert "<title>Bakame</title>" in document
    script = re.search(r'src="(/assets/[^"]+\.js)"', document)[1]
    assert run.request("GET", script).status == 200


def test_it_is_ready_when_it_says_so(start):
    run = start()
    run.wait_started()
    assert run.request("GET", "/api/health/ready").status == 200


def test_a_chat_is_streamed_through_it(running):
    def seconds_after_the_first_piece():
        exchange = ask(running, "Muraho!")
        assert exchange.next_text()
        began = time.monotonic()
        assert is_complete(exchange.events())
        exchange.close()
        return time.monotonic() - began
    # where we look too late for the first piece, as on a busy machine, the rest is there too
    assert any(seconds_after_the_first_piece() > STREAM_SECONDS for _ in range(TRIES)), "all of the answer came at once"
    assert "A demo model answers." in running.output()


def test_one_can_sign_up_and_is_known_in_the_next_run(start):
    run = start()
    run.wait_started()
    signed_up = run.request("POST", "/api/auth/signup", json.dumps({"email": "ada@example.org", "password": "a good password"}),
                            **{"Content-Type": "application/json"})
    assert signed_up.status == 201
    cookie = signed_up.header("Set-Cookie").split(";")[0]
    run.interrupt()
    again = start()
    again.wait_started()
    assert again.request("GET", "/api/auth/me", Cookie=cookie).json()["user"]["email"] == "ada@example.org"


def test_a_second_start_makes_nothing_anew(checkout, start):
    """So that it is fast: installed, built and filled is what was."""
    if not (checkout.run_directory / "pg").exists():
        first = start()
        first.wait_started()
        first.interrupt()
    cluster = checkout.run_directory / "pg/PG_VERSION"
    made = cluster.stat().st_mtime_ns
    again = start()
    again.wait_started()
    assert "all installed" in again.output() and "new cluster" not in again.output()
    assert cluster.stat().st_mtime_ns == made


def test_ctrl_c_stops_all_that_it_started_and_nothing_else(checkout, running, bystander):
    assert SERVICES <= set(checkout.processes().values())
    assert running.interrupt() == 130
    assert running.output().endswith("Stopped.\n")
    assert checkout.processes() == {}
    assert bystander.poll() is None
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", running.port)) != 0


def test_services_do_not_run_as_root(checkout, running):
    masters = checkout.pids("nginx")        # opens the port, serves nobody

    def owners():
        found = {}
        for pid, name in checkout.processes().items():
            with contextlib.suppress(OSError):      # PostgreSQL has some that come and go
                if pid not in masters:
                    found.setdefault(name, set()).add(Path(f"/proc/{pid}").owner())
        return found
    # the script itself still writes its last words, by a `cat`
    wait_until(lambda: not any("root" in users for users in owners().values()), SECONDS, "the end of all that root does")
    found = owners()
    assert found.pop("postgres") == {"postgres"}
    assert SERVICES - {"postgres"} <= set(found) and all(users == {"www-data"} for users in found.values())


def test_a_busy_port_is_told_with_the_remedy(checkout, start):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        run = start(port=port)
        assert run.process.wait(SECONDS) == 1
    _, *complaint = filter(None, run.output().splitlines())
    assert complaint == [f"quickstart: port {port} is in use: choose another: PORT={port + 1} ./quickstart run"]
    assert checkout.processes() == {}


def test_a_second_run_of_the_same_checkout_is_told_where_the_first_is(running, start):
    second = start()
    assert second.process.wait(SECONDS) == 1
    assert f"it is in use already, at http://127.0.0.1:{running.port}/" in second.output()
    assert_chats(running)


def test_a_worker_that_was_killed_is_reported(checkout, running):
    victim, *others = checkout.pids("worker")
    kill(victim)
    running.wait_says(f"quickstart: worker (process {victim}) ended")
    assert others and all(map(is_alive, others))
    assert_chats(running)


def test_without_workers_it_ends(checkout, running):
    for pid in checkout.pids("worker"):
        kill(pid)
    assert running.process.wait(SECONDS) == 1
    assert "quickstart: no worker is left: ./quickstart run starts them again" in running.output()
    assert checkout.processes() == {}


def test_what_a_killed_run_left_does_not_prevent_a_start(checkout, running, start, bystander):
    running.kill()
    left = checkout.processes()
    assert SERVICES <= set(left.values())
    with (checkout.run_directory / "pids/worker").open("a") as pids:
        pids.write(f"{bystander.pid} 1\n")      # a number that was given to somebody else since
    again = start(port=running.port)
    again.wait_started()
    assert re.search(r"leftovers +of a run that was killed", again.output())
    assert not [pid for pid in left if is_alive(pid)]
    assert bystander.poll() is None
    assert_chats(again)


def test_clean_removes_all_that_a_killed_run_left(checkout, running):
    place = checkout.run_directory.stat()
    shared_memory = Path(f"/dev/shm/bakame-run-{place.st_dev}-{place.st_ino}")
    assert shared_memory.exists()
    running.kill()
    checkout.clean()
    assert checkout.processes() == {}
    assert not checkout.run_directory.exists() and not shared_memory.exists()
