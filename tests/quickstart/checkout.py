"""checkout.py - a copy of the checkout in which ./quickstart runs, and what can be seen of it from outside."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from client import Exchange
from ports import hold_port, port_of
from stack import wait_until
from worker import CONTROL_PROGRAM, PROGRAM, require_build

ORIGIN = Path(__file__).resolve().parents[2]
COPIED = ("quickstart", "web/dist", "demo", "nginx", "sql")
ENDS_SECONDS = 300      # past them it hangs
OWN = ("quickstart", "sleep")    # the script, and how it waits
STARTED = re.compile(r"^Bakame is at  (http://\S+/)   \(started in ([0-9.]+) s;", re.MULTILINE)

# To ./quickstart the copy is a checkout that is built already: what there is to make is there.
MAKEFILE = "all: src/bakame-fcgi src/bakame-jobs src/bakame-extract\n"
MAKE_DIST = "#!/bin/sh\ntest -f \"$(dirname \"$0\")/dist/index.html\"\n"


def missing_packages():
    """What ./quickstart run would install: the tests must not."""
    script = (ORIGIN / "quickstart").read_text()
    wanted = " ".join(re.findall(r"^PACKAGES_(?:BUILD|RUN)=\(([^)]*)\)", script, re.MULTILINE)).split()
    assert "nginx" in wanted, "the lists of packages are no longer where they were"
    listed = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted],
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    installed = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    return [package for package in wanted if package not in installed]


class Checkout:
    def __init__(self, directory):
        require_build()
        subprocess.run([ORIGIN / "web/make-dist"], check=True)
        self.directory = Path(directory)
        self.run_directory = self.directory / ".run"
        for name in COPIED:
            copy = shutil.copytree if (ORIGIN / name).is_dir() else shutil.copy2
            copy(ORIGIN / name, self.directory / name)
        make_dist = self.directory / "web/make-dist"
        make_dist.write_text(MAKE_DIST)
        make_dist.chmod(0o755)
        (self.directory / "src").mkdir()
        for program in (PROGRAM, PROGRAM.with_name("bakame-jobs"), PROGRAM.with_name("bakame-extract"), CONTROL_PROGRAM):
            shutil.copy2(program, self.directory / "src")
        (self.directory / "Makefile").write_text(MAKEFILE)
        configure = self.directory / "configure"
        configure.write_text("#!/bin/sh\nexit 1\n")
        configure.chmod(0o755)

    def processes(self):
        """{pid: name} of all services that work in this checkout."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                place, name = os.readlink(entry / "cwd"), (entry / "comm").read_text().strip()
            except OSError:
                continue        # ended while we looked
            if Path(place).is_relative_to(self.run_directory) and name not in OWN:
                found[int(entry.name)] = name
        return found

    def pids(self, service):
        lines = (self.run_directory / "pids" / service).read_text().splitlines()
        return [int(line.split()[0]) for line in lines]

    def clean(self):
        subprocess.run([str(self.directory / "quickstart"), "clean"], check=True, timeout=ENDS_SECONDS)


def heed_ctrl_c():
    """Who was started in the background by a script ignores it, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Run:
    """One `./quickstart run`."""

    def __init__(self, checkout, port=None, **settings):
        self.checkout = checkout
        self.hold = None if port else hold_port()
        self.port = port or port_of(self.hold)
        self.output_path = checkout.directory / f"output-{self.port}"
        env = {"PATH": os.environ["PATH"], "HOME": str(checkout.directory), "LANG": "C.UTF-8",
               "PORT": str(self.port), **settings}
        with self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                [str(checkout.directory / "quickstart"), "run"], cwd=checkout.directory, env=env,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=heed_ctrl_c)

    def output(self):
        return self.output_path.read_text()

    def wait_started(self, seconds=600):
        """(address, seconds that the script says it took)"""
        wait_until(lambda: STARTED.search(self.output()) or self.process.poll() is not None, seconds, "a start")
        started = STARTED.search(self.output())
        assert started, self.output()
        return started[1], float(started[2])

    def wait_says(self, words, seconds=120):
        wait_until(lambda: words in self.output(), seconds, f"{words!r} in the output")

    def request(self, method, path, body=None, **headers):
        return Exchange("127.0.0.1", self.port, method, path, body, headers)

    def interrupt(self):
        """As Ctrl-C does; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(ENDS_SECONDS)

    def kill(self):
        """As `kill -9` does: what it started lives on."""
        self.process.kill()
        self.process.wait()

    def finish(self):
        if self.process.poll() is None:
            self.interrupt()
        if self.hold:
            self.hold.close()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill(pid):
    with contextlib.suppress(ProcessLookupError):       # it has ended by itself
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), ENDS_SECONDS, f"the end of process {pid}")
