"""tree_machine.py - a Debian of its own, fresh from its mirror, booted in a container without a network."""
import os
import re
import shutil
from pathlib import Path

from machine import Machine, Unavailable, run

RELEASE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
TREE_SECONDS = 1800         # past them a step hangs: the mirror may be far away, and the machine busy
MEMORY_ENOUGH_KIB = 4 * 1024 * 1024


def mirror():
    """The one that this machine uses."""
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if path.is_file():
            for address in re.findall(r"^(?:deb(?: \[[^]]*\])? |URIs: *)(http\S+)", path.read_text(), re.M):
                if "security" not in address:
                    return address
    return MIRROR


class TreeMachine(Machine):
    network = ["--private-network"]
    namespaces = ["-n"]

    def __init__(self, packages, files):
        """`packages` are installed by name, `files` (.deb) after them."""
        self.packages, self.files = packages, files
        if not shutil.which("debootstrap"):
            raise Unavailable("no debootstrap here: package debootstrap")
        super().__init__("")

    def mount(self):
        free = int(re.search(r"^MemAvailable: +(\d+)", Path("/proc/meminfo").read_text(), re.M).group(1))
        if free > MEMORY_ENOUGH_KIB:        # else on the disk, which is slower
            self.call("mount", "-t", "tmpfs", "-o", "mode=755,size=2g", "tmpfs", self.directory)
        self.root.mkdir()
        done = run("debootstrap", "--variant=minbase", "--include=systemd,ca-certificates", RELEASE, str(self.root), mirror(),
                   timeout=TREE_SECONDS)
        if done.returncode != 0:
            raise Unavailable(f"debootstrap failed: {done.stdout.strip()[-300:]}")

    def install(self, _settings, _drop_in):
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        for file in self.files:
            shutil.copy(file, self.root / "root")
        policy = self.root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        if self.packages:
            self.chroot("apt-get", "install", "-qy", "--no-install-recommends", *self.packages)
        self.chroot("apt-get", "install", "-qy", "--no-install-recommends", *(f"/root/{Path(file).name}" for file in self.files))
        policy.unlink()
        (self.root / "etc/systemd/system/test.target").write_text(
            "[Unit]\nDescription=What the tests boot into\nRequires=multi-user.target\nAfter=multi-user.target\nAllowIsolate=yes\n")
        (self.root / "etc/machine-id").write_text(os.urandom(16).hex() + "\n")

    def chroot(self, *command):
        done = run("chroot", str(self.root), *command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
                   timeout=TREE_SECONDS)
        if done.returncode != 0 and re.search(r"Could not resolve|Failed to fetch|Unable to fetch", done.stdout):
            raise Unavailable(f"the mirror cannot be reached: {done.stdout.strip()[-300:]}")
        assert done.returncode == 0, done.stdout[-4000:]
        return done.stdout
