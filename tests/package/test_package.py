"""The Debian package, in the life of an installation: built, looked over, installed in a clean Debian, started, asked,
removed, purged.  And the programs as they are built: with all hardening."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from machine import Unavailable
from papers import commands_of
from stack import wait_until
from tree_machine import TreeMachine
from worker import BUILD, CONTROL_PROGRAM, PROGRAM, has_sanitizers

pytestmark = [pytest.mark.limit(4 * 1800), pytest.mark.xdist_group("package")]
HARDENED = ("Position Independent Executable", "Stack protected", "Fortify Source functions", "Read-only relocations",
            "Immediate binding")


def must(*command, **options):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def assert_hardened(program):
    # of control flow it looks for a mark that Debian's own start files keep a program from having
    report = must("hardening-check", "--nocfprotection", program, env={**os.environ, "LC_ALL": "C"})
    for what in HARDENED:
        assert re.search(rf"^ {what}: yes", report, re.M), report


@pytest.mark.skipif(has_sanitizers(), reason="a build with sanitizers is hardened otherwise")
@pytest.mark.parametrize("name", ["bakame-fcgi", "bakame-jobs", "bakame-extract", "bakamectl"])
def test_programs_are_built_with_all_hardening(name):
    assert_hardened(PROGRAM.parent / name)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package, built of a release's tree as a packager would."""
    place = tmp_path_factory.mktemp("package")
    tree = place / "bakame"
    must("make", "-s", "-C", BUILD, "distdir", f"distdir={tree}")
    must("dpkg-buildpackage", "-b", "-us", "-uc", cwd=tree,
         env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(place), "LC_ALL": "C.UTF-8",
              "DEB_BUILD_OPTIONS": f"nocheck noautodbgsym parallel={os.cpu_count()}"})
    (changes,) = place.glob("*.changes")
    (deb,) = place.glob("bakame_*.deb")
    return tree, changes, deb


def test_lintian_has_nothing_to_say(package):
    _tree, changes, _deb = package
    as_root = ["--allow-root"] if os.getuid() == 0 else []
    said = must("lintian", *as_root, "--fail-on", "error,warning", changes)
    assert "E: " not in said and "W: " not in said, said


def test_what_is_packaged_is_hardened(package):
    tree, _changes, _deb = package
    for program in ("usr/bin/bakamectl", "usr/libexec/bakame/bakame-fcgi", "usr/libexec/bakame/bakame-jobs"):
        assert_hardened(tree / "debian/bakame" / program)


@pytest.mark.parametrize("title", ["By package", "By make", "NGINX", "Apache, mod_proxy_fcgi", "Apache, mod_fcgid", "spawn-fcgi, without systemd",
                                   "Accounts, history, files", "A new version"])
def test_ten_commands_are_enough(title):
    assert 1 <= len(commands_of(title)) <= 10


def boot(package):
    _tree, _changes, deb = package
    try:
        return TreeMachine(["nginx-light", "apache2", "libapache2-mod-fcgid", "spawn-fcgi", "multiwatch"], [deb])
    except Unavailable as why:
        pytest.skip(str(why))


def in_shell(machine, command):
    done = machine.inside("sh", "-c", command)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{machine.journal()}"
    return done.stdout


def follow(machine, title):
    """What INSTALL says, but for what a clean Debian without a network cannot do: packages are there already."""
    commands = [command for command in commands_of(title) if not command.startswith("apt-get ")]
    return in_shell(machine, "set -e\n" + "\n".join(commands))


def assert_serves(machine, report):
    for what in ("reached", "stream", "abort", "headers", "request id", "authorization", "body limits"):
        assert f"\nok    {what} " in report, report


def test_it_is_installed_serves_behind_each_front_and_is_gone_when_purged(package):
    machine = boot(package)
    try:
        machine.do("stop", "nginx", "apache2")
        # the model that the shipped settings name is not there, and says so; the rest works
        wait_until(lambda: machine.show("bakame@2", "SubState") == "running", 120, "the workers")
        assert machine.inside("stat", "-c", "%a %U", "/etc/bakame/bakame.env").stdout.split() == ["640", "root"]
        assert machine.inside("stat", "-c", "%a %U %G", "/var/lib/bakame/uploads").stdout.split() == ["2750", "bakame", "www-data"]
        wait_until(lambda: machine.show("bakame-jobs", "ActiveState") == "inactive", 120, "the end of bakame-jobs: there is no Redis")
        in_shell(machine, "/usr/libexec/bakame/rolling-restart")
        machine.do("start", "nginx")
        examine(machine, "NGINX", "nginx")
        machine.do("start", "apache2")
        examine(machine, "Apache, mod_proxy_fcgi", "apache2")
        machine.do("start", "apache2")
        machine.inside("a2dissite", "bakame")
        examine(machine, "Apache, mod_fcgid", "apache2")
        # that of Apache's workers, which are another user's: these could not share it, and knew nothing of each other's streams
        in_shell(machine, "rm -f /dev/shm/bakame")
        follow(machine, "spawn-fcgi, without systemd")
        wait_until(lambda: machine.inside("stat", "-c", "%U", "/dev/shm/bakame").stdout.strip() == "bakame", 120, "the workers' memory")
        machine.do("start", "nginx")
        assert_serves(machine, machine.inside("bakamectl", "doctor", "http://127.0.0.1").stdout)
        machine.do("stop", "nginx")
        # it waits for its workers: one that still ends would keep its user from being deleted
        in_shell(machine, "kill $(pidof multiwatch); while pidof -q multiwatch; do sleep 0.1; done; "
                          "rm -f /run/bakame/app.sock; systemctl start bakame.target")
        assert_leaves_cleanly(machine)
    finally:
        machine.stop()


def examine(machine, title, unit):
    """Set a front up as INSTALL says.  The doctor, its last command, finds only that there is no model."""
    *commands, doctor = [command for command in commands_of(title) if not command.startswith("apt-get ")]
    assert doctor.startswith("bakamectl doctor ")
    for command in commands:
        in_shell(machine, command)
    report = wait_until(lambda: (said := machine.inside(*doctor.split()).stdout) and "ok    reached" in said and said, 300, "a worker")
    assert_serves(machine, report)
    assert "no shared memory" not in machine.inside("journalctl", "--no-pager", "-o", "cat").stdout
    machine.do("stop", unit)


def assert_leaves_cleanly(machine):
    in_shell(machine, "apt-get -qy remove bakame")
    assert machine.inside("systemctl", "list-units", "--no-legend", "bakame*", "--state=active").stdout.strip() == ""
    assert machine.inside("test", "-f", "/etc/bakame/bakame.env").returncode == 0
    in_shell(machine, "apt-get -qy purge bakame")
    for path in ("/etc/bakame", "/var/lib/bakame", "/run/bakame", "/usr/libexec/bakame", "/usr/share/bakame", "/lib/systemd/system/bakame.socket"):
        assert machine.inside("test", "-e", path).returncode == 1, path
    assert machine.inside("getent", "passwd", "bakame").returncode != 0
    assert "not found" in machine.systemctl("cat", "bakame.target").stdout.lower() or "no files" in machine.systemctl("cat", "bakame.target").stdout.lower()
