"""The workers as services of a real systemd: ready, restarted, killed, misconfigured, stuck."""
import base64
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from client import DONE
from samples import pdf
from script import gate, stream, text
from stack import API_KEY, wait_until

SECONDS = 120           # past them what is waited for does not come

pytestmark = [pytest.mark.limit(600), pytest.mark.xdist_group("machine")]


class Caller:
    """Asks on and on until it is told to stop; counts what was not answered 200."""

    def __init__(self, stack):
        self.stack = stack
        self.answered, self.lost = 0, []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def run(self):
        while not self.ending.is_set():
            try:
                status = self.stack.ask("/v1/models")
            except Exception as fault:
                status = fault
            self.answered += 1
            if status != 200:
                self.lost.append(status)

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()


def live_stream(machine, model):
    script = model.script(stream(text("one"), gate("go"), text("two")))
    exchange = machine.chat(script)
    assert exchange.next_text() == "one"
    return script, exchange


def assert_ends_whole(script, exchange):
    script.open("go")
    assert exchange.next_text() == "two"
    assert exchange.events()[-1] == DONE


def while_a_stream_runs(machine, model, action):
    """The action, with a stream before, during and after it; its workers may end only when it does."""
    script, exchange = live_stream(machine, model)
    with Caller(machine) as caller, ThreadPoolExecutor() as pool:
        doing = pool.submit(action)
        wait_until(lambda: "deactivating" in (machine.machine.show(f"bakame@{i}", "ActiveState") for i in (1, 2)),
                   SECONDS, "a worker that drains")
        assert_ends_whole(script, exchange)
        doing.result()
    assert caller.answered > 0 and caller.lost == []


def test_units_are_ready_and_say_how_it_goes(machine):
    for number in (1, 2):
        assert machine.machine.show(f"bakame@{number}", "SubState") == "running"
    status = wait_until(lambda: machine.machine.show("bakame@1", "StatusText"), SECONDS, "a status")
    assert "streams, " in status and " requests/s; breakers: all closed" in status


def test_workers_are_nobody_in_particular_and_have_no_rights(machine):
    pid = machine.machine.main_pid(1)
    status = dict(line.split(":\t", 1) for line in machine.machine.inside("cat", f"/proc/{pid}/status").stdout.splitlines() if ":\t" in line)
    assert machine.machine.inside("id", "-u", "bakame").stdout.strip() == status["Uid"].split()[0] != "0"
    assert status["CapEff"] == status["CapBnd"] == "0" * 16
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_the_key_is_a_credential_and_nowhere_else(machine):
    pid = machine.machine.main_pid(1)
    environment = machine.machine.inside("cat", f"/proc/{pid}/environ").stdout
    assert "BAKAME_ENV_FILE=/run/credentials/bakame@1.service/bakame.env" in environment
    assert API_KEY not in environment
    assert machine.machine.env_file.stat().st_mode & 0o777 == 0o600
    assert machine.machine.inside("setpriv", "--reuid=nobody", "--clear-groups", "cat",
                                  "/run/credentials/bakame@1.service/bakame.env").returncode != 0
    machine.assert_serves()


def test_workers_share_their_memory(machine):
    exchange = machine.get("/metrics")
    assert exchange.status == 200
    assert b"bakame_requests_total" in exchange.read()
    listing = machine.machine.inside("ls", "-l", "/dev/shm").stdout
    assert " bakame bakame " in listing


def rolling_restart(machine):
    (script,) = machine.machine.root.glob("usr/**/bakame/rolling-restart")
    done = machine.machine.inside("/" + str(script.relative_to(machine.machine.root)))
    assert done.returncode == 0, done.stdout


def test_one_by_one_they_are_restarted_and_nothing_is_lost(machine, model):
    before = [machine.machine.main_pid(i) for i in (1, 2)]
    while_a_stream_runs(machine, model, lambda: rolling_restart(machine))
    after = [machine.machine.main_pid(i) for i in (1, 2)]
    assert not set(before) & set(after)


def test_all_at_once_they_are_restarted_and_nothing_is_lost(machine, model):
    while_a_stream_runs(machine, model, lambda: machine.machine.do("restart", "bakame.target"))


def test_one_is_killed_and_comes_back(machine):
    pid = machine.machine.main_pid(1)
    restarts = int(machine.machine.show("bakame@1", "NRestarts"))
    machine.machine.inside("kill", "-KILL", pid)
    wait_until(lambda: machine.machine.main_pid(1) not in ("0", pid), SECONDS, "another worker")
    assert int(machine.machine.show("bakame@1", "NRestarts")) == restarts + 1
    machine.assert_serves()


def test_all_are_stopped_and_the_next_request_starts_one(machine):
    machine.machine.do("stop", "bakame@1", "bakame@2")
    assert machine.machine.show("bakame@1", "ActiveState") == "inactive"
    machine.assert_serves()
    wait_until(lambda: machine.machine.show("bakame@1", "ActiveState") == "active", SECONDS, "systemd's hearing that it is ready")
    machine.machine.do("start", "bakame@2")


def test_a_host_is_taken_out_of_service(machine, model):
    """As doc/scaling.md says: with its socket, else whoever asks next, as a balancer does, starts a worker."""
    script, exchange = live_stream(machine, model)
    machine.machine.do("--no-block", "stop", "bakame.socket", "bakame.target")
    wait_until(lambda: machine.ask("/api/health/ready") in (502, 503), SECONDS, "that it is out of service")
    assert_ends_whole(script, exchange)
    for number in (1, 2):
        wait_until(lambda: machine.machine.show(f"bakame@{number}", "ActiveState") == "inactive", SECONDS, "the end of a worker")
    assert machine.ask("/api/health/ready") == 502         # the front's: nobody is there
    assert machine.machine.show("bakame@1", "ActiveState") == "inactive"
    machine.machine.do("start", "bakame.target")
    wait_until(machine.answers, SECONDS, "an answer")
    wait_until(lambda: machine.machine.show("bakame@2", "SubState") == "running", SECONDS, "the other worker")


def test_settings_with_a_fault_keep_it_trying_and_the_socket_there(machine):
    machine.machine.write_settings(machine.env_text() + "MAX_STREAMS=many\n")
    machine.machine.systemctl("restart", "bakame@1", "bakame@2")
    wait_until(lambda: int(machine.machine.show("bakame@1", "NRestarts")) >= 3, SECONDS, "a third try")
    wait_until(lambda: "MAX_STREAMS: " in machine.machine.journal("bakame@1"), SECONDS, "the reason in the journal")
    assert machine.machine.show("bakame.socket", "ActiveState") == "active"
    machine.machine.write_settings(machine.env_text())
    wait_until(machine.answers, SECONDS, "an answer")
    wait_until(lambda: machine.machine.show("bakame@2", "SubState") == "running", SECONDS, "the other worker")


def test_settings_with_a_fault_keep_what_works_behind_trying_too(machine):
    """Who mends them need not think of it.  Without a Redis it has ended well, and nobody tries again."""
    def show(name):
        return machine.machine.show("bakame-jobs", name)
    machine.machine.write_settings(machine.env_text() + "MAX_STREAMS=many\n")
    machine.machine.systemctl("restart", "bakame-jobs")
    wait_until(lambda: int(show("NRestarts")) >= 2, SECONDS, "a second try")
    machine.machine.write_settings(machine.env_text() + "REDIS_URL=redis://127.0.0.1:1/0\n")
    wait_until(lambda: "jobs started" in machine.machine.journal("bakame-jobs"), SECONDS, "its start")
    machine.machine.write_settings(machine.env_text())
    machine.machine.systemctl("restart", "bakame-jobs")
    wait_until(lambda: show("ActiveState") == "inactive", SECONDS, "its end")
    assert show("Result") == "success"


def run_as_jobs_do(machine, name, command, data, **environment):
    """A program started once by one that is fenced as bakame-jobs.service, with `data` as its input: its status and what it said."""
    system = machine.root / "etc/systemd/system"
    unit = next(machine.root.glob("usr/**/bakame-jobs.service")).read_text()
    for old, new in ((r"^Type=.*", "Type=oneshot"), (r"^ExecStart=.*", f"ExecStart=/bin/sh -c '{command}; exit $$?'"), (r"^Restart=.*", "Restart=no"),
                     (r"^(WatchdogSec|RestartPreventExitStatus|SuccessExitStatus|NotifyAccess)=.*\n", "")):
        unit = re.sub(old, new, unit, flags=re.M)
    extra = [f"StandardInputData={base64.b64encode(data).decode()}", *(f"Environment={key}={value}" for key, value in environment.items())]
    (system / f"{name}.service").write_text(unit.replace("[Service]\n", "[Service]\n" + "".join(f"{line}\n" for line in extra)))
    machine.do("daemon-reload")
    machine.systemctl("start", name)
    return machine.show(name, "ExecMainStatus"), machine.journal(name)


def test_what_reads_files_is_shut_in_there_too(machine):
    """The unit's own fences leave it those by which it shuts itself in: whoever takes pdftotext over can read nothing."""
    machine = machine.machine
    extract = "/" + str(next(machine.root.glob("usr/**/bakame-extract")).relative_to(machine.root))
    status, said = run_as_jobs_do(machine, "words", f"{extract} pdf", pdf("Muraho neza"))
    assert (status, "Muraho neza" in said) == ("0", True), said
    taken_over = machine.root / "opt/taken-over/pdftotext"
    taken_over.parent.mkdir(parents=True)
    taken_over.write_text("#!/bin/sh\ncat /etc/passwd\n")
    taken_over.chmod(0o755)
    _, said = run_as_jobs_do(machine, "unfenced", "/opt/taken-over/pdftotext", b"")
    assert "root:" in said
    status, said = run_as_jobs_do(machine, "fenced", f"{extract} pdf", pdf("Muraho neza"), PATH="/opt/taken-over")
    assert "root:" not in said and status == "69", said


def test_a_worker_that_is_stuck_is_replaced(boot_machine):
    stack = boot_machine(drop_in="WatchdogSec=20\nTimeoutAbortSec=2")     # no pause of the machine's makes the others stuck
    pid = stack.machine.main_pid(2)
    stack.machine.inside("kill", "-STOP", pid)
    wait_until(lambda: stack.machine.main_pid(2) not in ("0", pid), SECONDS, "another worker")
    wait_until(lambda: "watchdog" in stack.machine.inside("journalctl", "--no-pager", "-o", "cat").stdout.lower(), SECONDS, "a word of it")
    stack.assert_serves()


def test_a_worker_drains_for_as_long_as_its_settings_say(boot_machine, model):
    """DRAIN_SECONDS alone says how long: the unit's own time is shorter here, and does not end it."""
    stack = boot_machine(drop_in="TimeoutStopSec=2")
    script, exchange = live_stream(stack, model)
    stack.machine.do("--no-block", "stop", "bakame.socket", "bakame.target")
    wait_until(lambda: stack.ask("/api/health/ready") == 502, SECONDS, "that it ends")
    time.sleep(6)                                           # longer than the unit's
    assert_ends_whole(script, exchange)
    wait_until(lambda: "inactive" in {stack.machine.show(f"bakame@{i}", "ActiveState") for i in (1, 2)}, SECONDS, "the end of a worker")


def test_a_machine_starts_before_its_redis_and_its_database(boot_machine):
    stack = boot_machine(REDIS_URL="redis://127.0.0.1:1/0", DATABASE_URL="postgresql://bakame@127.0.0.1:1/bakame")
    assert stack.ask("/api/health/ready") == 200
    stack.assert_serves()


def test_jobs_are_done_once_there_is_a_redis_for_them(boot_machine):
    """They have ended where there was none: what restarts the workers for new settings starts them, too."""
    stack = boot_machine()
    wait_until(lambda: stack.machine.show("bakame-jobs", "ActiveState") == "inactive", SECONDS, "that there is nothing to do")
    stack.values["REDIS_URL"] = "redis://127.0.0.1:1/0"
    stack.machine.write_settings(stack.env_text())
    rolling_restart(stack)
    wait_until(lambda: stack.machine.show("bakame-jobs", "SubState") == "running", SECONDS, "bakame-jobs")
