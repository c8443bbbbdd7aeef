"""Start: faults are all named at once; the socket comes from whoever starts the worker."""
import os
import signal
import socket
import subprocess
import time

import pytest

import fcgi
import process
from contract import REQUEST_ID
from stack import API_KEY, at_best, wait_until
from worker import PROGRAM, environment, has_sanitizers, require_build

EX_CONFIG = 78
GOOD = {"BAKAME_ENV": "production", "OPENAI_API_KEY": API_KEY, "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "OPENAI_MODEL": "mock-model", "LOG_TARGET": "stderr", "LOG_FORMAT": "json", "RATE_LIMIT_USER": "off",
        "RATE_LIMIT_GUEST": "off"}
# A value that is wrong for each setting.
BAD = {"MAX_STREAMS": "many", "DRAIN_SECONDS": "-1", "LOG_LEVEL": "loud", "LOG_FORMAT": "xml",
       "LOG_TARGET": "printer", "BAKAME_ENV": "staging?", "OPENAI_BASE_URL": "not a url",
       "OPENAI_CONNECT_TIMEOUT_MS": "1.5s", "OPENAI_FIRST_BYTE_TIMEOUT_MS": "", "PING_SECONDS": "99999999999999999999"}
BAD_ONE_BY_ONE = {**BAD, "OPENAI_FIRST_BYTE_TIMEOUT_MS": "0x10"}


@pytest.fixture
def shm_name(request):
    """A name of its own, and nothing left of it."""
    name = f"/bakame-test-start-{os.getpid()}-{abs(hash(request.node.nodeid))}"
    yield name
    subprocess.run(["rm", "-f", "/dev/shm" + name], check=True)


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "app.sock"))
        listening.listen(64)
        yield listening


@pytest.fixture
def run(listener, shm_name):
    """Run a worker that is expected to end by itself; gives (status, stderr)."""
    def run_worker(**settings):
        require_build()
        done = subprocess.run([str(PROGRAM)], stdin=listener, capture_output=True, timeout=180,
                              env=environment(SHM_NAME=shm_name, **{**GOOD, **settings}))
        assert done.stdout == b""
        return done.returncode, done.stderr.decode()
    return run_worker


@pytest.fixture
def start(listener, shm_name, tmp_path):
    """Start a worker; ends it again, expecting 0."""
    started = []

    def start_worker(command=None, **settings):
        require_build()
        log = open(tmp_path / f"log{len(started)}", "wb")
        started.append((subprocess.Popen(
            command or [str(PROGRAM)], stdin=listener, stdout=subprocess.DEVNULL, stderr=log,
            env=environment(SHM_NAME=shm_name, **{**GOOD, **settings}), preexec_fn=process.end_with_parent), log))
        return started[-1][0]
    yield start_worker
    for worker, _ in started:
        process.wait_heeds_term(worker)
    statuses = [process.stop(worker) for worker, _ in started]
    for _, log in started:
        log.close()
    assert statuses == [0] * len(started)


def ask(tmp_path, method="GET", path="/api/health/live"):
    with fcgi.Connection(tmp_path / "app.sock") as connection:
        return connection.ask(method, path)


def models_of(tmp_path):
    return ask(tmp_path, path="/v1/models").body.decode()


@pytest.mark.parametrize("name", BAD_ONE_BY_ONE)
def test_a_bad_setting_is_named_and_ends_the_start(run, name):
    status, errors = run(**{name: BAD_ONE_BY_ONE[name]})
    assert status == EX_CONFIG
    assert name in errors


def test_all_faults_are_told_at_once(run):
    settings = {name: value for name, value in BAD.items() if value}
    status, errors = run(**settings)
    assert status == EX_CONFIG
    missing = [name for name in settings if name not in errors]
    assert not missing, errors


def test_a_fault_says_what_was_wrong_and_gives_an_example(run):
    _, errors = run(LOG_LEVEL="loud")
    assert "loud" in errors
    assert "debug" in errors and "info" in errors


def test_a_value_of_a_secret_is_not_told(run):
    secret = "sk-live\n0123456789abcdefghijklmnopqrstuv"
    _, errors = run(OPENAI_API_KEY=secret, LOG_LEVEL="loud")
    assert "0123456789abcdefghijklmnopqrstuv" not in errors


def test_production_needs_a_model(run):
    status, errors = run(OPENAI_API_KEY=None, OPENAI_BASE_URL=None)
    assert status == EX_CONFIG
    assert "OPENAI_API_KEY" in errors


def test_a_model_that_needs_no_key_is_enough(start, tmp_path):
    start(OPENAI_API_KEY=None)
    assert ask(tmp_path, path="/api/health/ready").status == 200


def test_no_request_is_answered_before_the_configuration_is_sound(listener, run, tmp_path):
    with fcgi.Connection(tmp_path / "app.sock") as connection:
        connection.send(fcgi.request(fcgi.params_of("GET", "/api/health/live")))
        assert run(LOG_LEVEL="loud")[0] == EX_CONFIG
        connection.socket.settimeout(0.2)
        with pytest.raises((socket.timeout, EOFError)):
            connection.read_record()


def test_without_a_socket_it_says_so_and_ends(shm_name):
    require_build()
    done = subprocess.run([str(PROGRAM)], stdin=subprocess.DEVNULL, capture_output=True, timeout=180,
                          env=environment(**GOOD, SHM_NAME=shm_name))
    assert done.returncode not in (0, -signal.SIGSEGV, -signal.SIGABRT)
    assert b"socket" in done.stderr.lower()


def test_the_file_gives_what_the_environment_does_not(start, tmp_path):
    (tmp_path / "bakame.env").write_text(
        "# a comment\n\nOPENAI_MODEL=from-file\nexport OPENAI_MODELS=\"second, third\"  \n  LOG_LEVEL='debug'\n"
        "UNKNOWN_TO_US=$(not run)\n")
    start(BAKAME_ENV_FILE=tmp_path / "bakame.env", OPENAI_MODEL=None)
    models = models_of(tmp_path)
    assert "from-file" in models and "second" in models and "third" in models


def test_the_environment_wins_over_the_file(start, tmp_path):
    (tmp_path / "bakame.env").write_text("OPENAI_MODEL=from-file\n")
    start(BAKAME_ENV_FILE=tmp_path / "bakame.env", OPENAI_MODEL="from-environment")
    models = models_of(tmp_path)
    assert "from-environment" in models and "from-file" not in models


def test_a_fault_in_the_file_is_named(run, tmp_path):
    (tmp_path / "bakame.env").write_text("MAX_STREAMS=many\n")
    status, errors = run(BAKAME_ENV_FILE=tmp_path / "bakame.env")
    assert status == EX_CONFIG
    assert "MAX_STREAMS" in errors


def test_a_file_that_is_not_there_is_a_fault(run, tmp_path):
    status, errors = run(BAKAME_ENV_FILE=tmp_path / "nowhere.env")
    assert status == EX_CONFIG
    assert "nowhere.env" in errors


def test_systemd_hands_the_socket_over_on_fd_3(start, tmp_path):
    start(["sh", "-c", f'exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "{PROGRAM}"'])
    assert ask(tmp_path).status == 200


def test_spawn_fcgi_starts_several(tmp_path, shm_name):
    require_build()
    socket_path, pids_path = tmp_path / "spawned.sock", tmp_path / "pids"
    launch = f'exec "{PROGRAM}" 2>>"{tmp_path}/spawned.log"'
    subprocess.run(["spawn-fcgi", "-s", str(socket_path), "-F", "2", "-P", str(pids_path), "--", "/bin/sh", "-c", launch],
                   env=environment(SHM_NAME=shm_name, **GOOD), check=True, capture_output=True, timeout=180)
    pids = [int(pid) for pid in pids_path.read_text().split()]
    try:
        assert len(pids) == 2
        with fcgi.Connection(socket_path) as connection:
            assert connection.ask("GET", "/api/health/live").status == 200
    finally:
        subprocess.run(["kill", "-TERM", *map(str, pids)], check=True)
    wait_until(lambda: not any(lives(pid) for pid in pids), what="the end of both workers")


def lives(pid):
    """A process nobody waits for stays as a zombie: that is ended too."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_of_one_host_start_together(start, tmp_path):
    workers = [start() for _ in range(6)]
    assert REQUEST_ID.fullmatch(ask(tmp_path).headers["x-request-id"])
    assert all(worker.poll() is None for worker in workers)
    # those that lost the race for the first answer are still starting
    logs = [tmp_path / f"log{number}" for number in range(len(workers))]
    wait_until(lambda: all("worker started" in log.read_text() for log in logs), what="the start of all")
    assert all(worker.poll() is None for worker in workers)


@pytest.mark.skipif(has_sanitizers(), reason="an ASan build starts slowly")
def test_first_answer_comes_within_50_ms(start, tmp_path):
    def first_answer():
        begun, waited = time.monotonic(), process.seconds_without_processor("thread-self")
        worker = start()
        assert ask(tmp_path).status == 200
        took = time.monotonic() - begun
        # what other processes took is not the worker's
        took -= process.seconds_without_processor(worker.pid) + process.seconds_without_processor("thread-self") - waited
        process.stop(worker)
        return took
    at_best(first_answer, 0.05)


@pytest.mark.skipif(has_sanitizers(), reason="memory of an ASan build says nothing")
def test_an_idle_worker_needs_at_most_8_mib(stack):
    stack.assert_serves()
    assert stack.worker.memory("Pss") <= 8 << 20
