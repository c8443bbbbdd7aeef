"""machine.py - a booted systemd in a container, on an overlay of this machine's files.

It shares the network, so that servers of the tests are reached from within, and the workers' socket from without.
Its control groups are its own: in those of another machine with the same services each would wait for the other's
processes, and end them.  Needs root and systemd-nspawn; Unavailable says why it cannot be had.
"""
import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import process
from worker import BUILD

# Past them something hangs, however busy the machine is.
BOOT_SECONDS = 300
OFF_SECONDS = 120
# A container of this systemd is denied them, which no machine is.
LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
TARGET = """[Unit]
Description=What the tests boot into
Requires=systemd-journald.service bakame.target
After=systemd-journald.service
Wants=systemd-tmpfiles-setup.service
"""


class Unavailable(Exception):
    pass


def run(*command, **options):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def control_groups():
    """Where this process is in each hierarchy by which systemd goes, as directories."""
    own, places = {}, {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, name, path = line.split(":", 2)
        own["unified" if number == "0" else name] = path.lstrip("/")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2":
            places.setdefault("unified", place)
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            places.setdefault("name=systemd", place)
    return [Path(place) / own[name] for name, place in places.items() if name in own]


class Machine:
    network = []                        # the host's
    namespaces = []                     # to enter besides, then

    def __init__(self, settings, drop_in=""):
        """`settings` is the text of bakame.env; `drop_in` is added to bakame@.service."""
        if os.getuid() != 0:
            raise Unavailable("a container needs root")
        if not shutil.which("systemd-nspawn"):
            raise Unavailable("no systemd-nspawn here: package systemd-container")
        self.directory = Path(tempfile.mkdtemp(prefix="bakame-machine-"))
        self.root = self.directory / "root"
        self.process = None
        self.leader = None
        self.groups = []
        try:
            self.make_groups()
            self.mount()
            self.install(settings, drop_in)
            self.boot()
        except BaseException:
            self.stop()
            raise

    def make_groups(self):
        """Where it may not have any, those of this process have to do."""
        for parent in control_groups():
            group = parent / self.directory.name
            with contextlib.suppress(OSError):
                group.mkdir()
                self.groups.append(group)

    def enter_groups(self):
        process.end_with_parent()
        for group in self.groups:
            with contextlib.suppress(OSError):
                (group / "cgroup.procs").write_text("0")        # who writes

    def mount(self):
        """What is written goes to memory, and is gone afterwards."""
        self.call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.directory)
        for name in ("upper", "work", "root"):
            (self.directory / name).mkdir()
        self.call("mount", "-t", "overlay", "overlay", "-o",
                  f"lowerdir=/,upperdir={self.directory}/upper,workdir={self.directory}/work", self.root)

    @staticmethod
    def call(*command):
        done = run(*map(str, command))
        if done.returncode != 0:
            raise Unavailable(f"{command[0]} failed: {done.stdout.strip()}")

    def install(self, settings, drop_in):
        done = run("make", "-s", "-C", BUILD, "install", f"DESTDIR={self.root}")
        assert done.returncode == 0, done.stdout
        for name in ("sysusers", "tmpfiles"):
            created = run(f"systemd-{name}", f"--root={self.root}", *(["--create"] if name == "tmpfiles" else []), "bakame.conf")
            assert created.returncode == 0, created.stdout
        unit = next(self.root.glob("usr/**/bakame@.service")).read_text()
        (place,) = [line for line in unit.splitlines() if line.startswith("LoadCredential=")]
        self.env_file = self.root / place.partition(":")[2].lstrip("/")
        self.write_settings(settings)
        own = self.root / "etc/systemd/system"
        (own / "test.target").write_text(TARGET)
        if drop_in:
            (own / "bakame@.service.d").mkdir()
            (own / "bakame@.service.d/test.conf").write_text(f"[Service]\n{drop_in}\n")
        # the machine's own id must differ from the host's
        (self.root / "etc/machine-id").write_text(os.urandom(16).hex() + "\n")

    def write_settings(self, text):
        self.env_file.write_text(text)
        self.env_file.chmod(0o600)

    def boot(self):
        with (self.directory / "console").open("wb") as console:
            self.process = subprocess.Popen(
                ["systemd-nspawn", "-q", "--register=no", "--keep-unit", "--console=pipe", "--tmpfs=/tmp", *self.network,
                 f"--system-call-filter={LANDLOCK}", "-D", str(self.root), "-b", "--", "--unit=test.target"],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=self.enter_groups)
        deadline = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            if children:
                self.leader = int(children[0])
                if self.systemctl("is-active", "test.target").stdout.strip() == "active":
                    return
            time.sleep(0.05)
        said = (self.directory / "console").read_text(errors="replace")
        if self.leader and (self.systemctl("is-system-running").stdout.strip() not in ("", "offline")):
            raise AssertionError(f"bakame.target did not come up:\n{said}\n{self.journal()}")
        raise Unavailable(f"systemd does not boot in a container here: {said.strip()[-300:]}")

    def inside(self, *command, **options):
        return run("nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-p", "-r", "-w", *self.namespaces, *command, **options)

    def systemctl(self, *arguments):
        return self.inside("systemctl", "--no-pager", *arguments)

    def do(self, *arguments):
        """systemctl, and it must succeed."""
        done = self.systemctl(*arguments)
        assert done.returncode == 0, f"systemctl {' '.join(arguments)}: {done.stdout}\n{self.journal()}"
        return done.stdout

    def show(self, unit, name):
        return self.do("show", "--value", "-p", name, unit).strip()

    def main_pid(self, number):
        return self.show(f"bakame@{number}", "MainPID")

    def journal(self, unit="bakame@*"):
        return self.inside("journalctl", "--no-pager", "-o", "cat", "-u", unit).stdout

    @property
    def socket_path(self):
        return Path(f"/proc/{self.leader}/root/run/bakame/app.sock")

    def power_off(self):
        if self.leader and self.process.poll() is None:
            run("kill", "-RTMIN+4", str(self.leader))       # systemd(1): power off
        try:
            self.process.wait(OFF_SECONDS)
        except subprocess.TimeoutExpired:
            process.stop(self.process)

    def stop(self):
        try:
            if self.process:
                self.power_off()
        finally:
            for place in (self.root, self.directory):
                if os.path.ismount(place):
                    run("umount", "-l", str(place))
            shutil.rmtree(self.directory, ignore_errors=True)
            for place in [place for group in self.groups for place, _, _ in os.walk(group, topdown=False)]:
                with contextlib.suppress(OSError):          # somebody has not gone after all
                    os.rmdir(place)
