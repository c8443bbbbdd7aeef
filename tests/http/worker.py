"""worker.py - one bakame-fcgi process under test, and what can be seen of it from outside."""
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import process

BUILD = Path(os.environ.get("BAKAME_BUILD") or Path(__file__).resolve().parents[2])
PROGRAM = BUILD / "src" / "bakame-fcgi"
CONTROL_PROGRAM = BUILD / "src" / "bakamectl"
SANITIZER_REPORTS = ("AddressSanitizer", "LeakSanitizer", "runtime error:")


def require_build(program=PROGRAM):
    if not program.exists():
        raise AssertionError(f"{program} is missing: build first, or set BAKAME_BUILD to the build tree")


def has_sanitizers():
    """Whether the build under test is an ASan one: slower, and its memory says nothing."""
    return PROGRAM.exists() and b"__asan_init" in PROGRAM.read_bytes()


def environment(**settings):
    """A worker's whole environment; a setting that is None is left out."""
    values = {"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_stack_use_after_return=0",
              "UBSAN_OPTIONS": "print_stacktrace=1"}
    values.update((name, value) for name, value in os.environ.items() if name.endswith("SAN_OPTIONS"))
    values.update(settings)
    return {name: str(value) for name, value in values.items() if value is not None}


class Worker:
    def __init__(self, listener, log_path, env):
        require_build()
        self.log_path = Path(log_path)
        self.started = time.monotonic()
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM)], stdin=listener, stdout=subprocess.DEVNULL, stderr=log, env=env,
                preexec_fn=process.end_with_parent)
        self.pid = self.process.pid
        self.expected_exit = 0
        self.ended_by_test = False

    def signal(self, number):
        """A signal that ends the worker; teardown then expects it gone."""
        self.ended_by_test = True
        self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.expected_exit = -signal.SIGKILL
        self.process.wait()

    def alive(self):
        return self.process.poll() is None

    def wait(self, timeout):
        return self.process.wait(timeout)

    def stderr(self):
        return self.log_path.read_text(errors="replace")

    def log(self):
        """The log, one dict a line; a line that is not JSON fails."""
        lines = self.stderr().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def sockets(self):
        """How many sockets it holds: grows with each open stream."""
        count = 0
        for entry in os.scandir(f"/proc/{self.pid}/fd"):
            try:
                count += os.readlink(entry.path).startswith("socket:")
            except FileNotFoundError:
                continue        # closed while we looked
        return count

    def memory(self, field="Anonymous"):
        """Bytes of memory that the process took itself; "Pss" adds its share of programs and libraries."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {field} in smaps_rollup")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def finish(self):
        """End it and fail if it had not lived as it should."""
        if not self.ended_by_test:
            process.wait_heeds_term(self.process)
        died = not self.ended_by_test and not self.alive()
        status = process.stop(self.process, told=self.ended_by_test)
        report = self.stderr()
        for words in SANITIZER_REPORTS:
            assert words not in report, report
        assert not died, f"a worker ended by itself with status {status}:\n{report[-4000:]}"
        assert status == self.expected_exit, f"a worker ended with status {status}:\n{report[-4000:]}"
        self.log()
