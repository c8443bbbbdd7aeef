"""front_stack.py - a Stack behind a front of one's choice, set up by the shipped configuration."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import fronts
import process
from nginx import make_certificate
from stack import Stack, wait_until
from worker import environment

FRONTS = ["nginx", "apache-proxy-fcgi", "apache-fcgid"]


def open_directory():
    """One that the users of servers may enter; pytest's own are closed to them."""
    directory = Path(tempfile.mkdtemp(prefix="bakame-front-"))
    directory.chmod(0o755)
    return directory


ANY_STATUS = Path(__file__).with_name("any_status.py")


class FrontStack(Stack):
    def __init__(self, front, model, workers=1, front_settings=None, **settings):
        self.front_class = fronts.ALL[front]
        self.front_settings = front_settings or {}
        place = open_directory()
        try:
            super().__init__(place, model, workers=0 if self.front_class.starts_workers else workers, **settings)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    def start_front(self):
        os.chmod(self.socket_path, 0o666)
        settings = {"environment": self.worker_environment(), **self.front_settings}
        if self.front_class.tls:
            settings["certificate"] = make_certificate(self.directory)
        front = self.directory / "front"
        front.mkdir(exist_ok=True)
        return self.front_class(front, self.socket_path, settings)

    def worker_environment(self):
        return {name: value for name, value in environment(**self.settings).items() if name != "PATH"}

    def wait_ready(self):
        def answers():
            exchange = self.get("/api/health/live")
            status = exchange.status
            exchange.close()
            return status == 200
        if self.workers:
            self.wait_started()
        if self.front_class.tls:
            return              # what the plain address says is no answer of a worker
        wait_until(answers, 120, "an answer through the front")

    def kill_workers(self):
        """Each of them, as a crash would."""
        for worker in self.workers:
            worker.kill()
        if self.front_class.starts_workers:
            for pid in self.started_by_front():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def started_by_front(self):
        program = str(self.front.directory / "bakame-fcgi")
        return [int(entry.name) for entry in Path("/proc").iterdir()
                if entry.name.isdigit() and (entry / "exe").is_symlink() and self._is(entry, program)]

    @staticmethod
    def _is(entry, program):
        try:
            return os.readlink(entry / "exe") == program
        except OSError:
            return False        # ended while we looked

    def all_log_lines(self):
        if not self.front_class.starts_workers:
            return [line for worker in self.workers for line in worker.log()]
        lines = self.front.error_log().splitlines()     # of which Apache writes some
        return [json.loads(line) for line in lines if line.startswith("{")]

    def log_lines(self, request_id):
        def find():
            return [line for line in self.all_log_lines() if request_id in line.values()]
        return wait_until(find, what=f"a log line of request {request_id}")

    def close(self):
        try:
            if self.front_class.starts_workers and self.front:
                self.front.stop()
            super().close()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


class AnyStatus(FrontStack):
    """A front before an application that answers with whatever status it is asked for."""

    def __init__(self, front):
        self.application = None
        super().__init__(front, None, workers=0, front_settings={"program": ANY_STATUS})

    def start_front(self):
        if not self.front_class.starts_workers:
            self.application = subprocess.Popen([ANY_STATUS], stdin=self.listener, preexec_fn=process.end_with_parent)
        return super().start_front()

    def all_log_lines(self):
        return []

    def close(self):
        super().close()
        if self.application:
            process.stop(self.application)
