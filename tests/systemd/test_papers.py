"""Accounts and backups by what INSTALL and doc/database.md tell people to type, on a machine with Debian's servers."""
import json

import pytest

import fcgi
from machine import Machine, Unavailable
from papers import blocks_of_page, commands_of
from stack import wait_until

pytestmark = [pytest.mark.limit(900), pytest.mark.xdist_group("machine")]
PASSWORD = "correct horse battery"


class Server(Machine):
    """Its ports are its own."""
    network = ["--private-network"]
    namespaces = ["-n"]

    def type(self, commands):
        """One after the other; whoever asks for a password is given one."""
        text = "\n".join(command for command in commands if not command.startswith("apt-get "))
        (helpers,) = self.root.glob("usr/**/libexec/bakame")
        for shipped, here in (("/etc/bakame/bakame.env", self.env_file), ("/usr/libexec/bakame", helpers)):
            text = text.replace(shipped, f"/{here.relative_to(self.root)}")
        done = self.inside("sh", "-c", f"cd /root && set -e\n{text}", input=f"{PASSWORD}\n")
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{self.journal()}"
        return done.stdout


@pytest.fixture
def server():
    try:
        machine = Server("OPENAI_BASE_URL=http://127.0.0.1:1/v1\n")
    except Unavailable as why:
        pytest.skip(str(why))
    try:
        machine.do("start", "postgresql", "redis-server")
        yield machine
    finally:
        machine.stop()


def signs_in(server):
    with fcgi.Connection(server.socket_path) as connection:
        body = json.dumps({"email": "you@example.org", "password": PASSWORD}).encode()
        return connection.ask("POST", "/api/auth/login", body).status == 200


def test_there_are_accounts_and_they_come_back_from_a_backup(server):
    server.type(commands_of("Accounts, history, files"))
    assert "appendonly yes" in (server.root / "etc/redis/redis.conf").read_text()
    wait_until(lambda: server.show("bakame-jobs", "SubState") == "running", 120, "bakame-jobs")
    people = server.type(["bakamectl user list"])
    assert signs_in(server)
    assert " admin " in people and people.endswith("  you@example.org\n")
    (server.root / "var/lib/bakame/uploads/a-file").write_text("whole")

    away, back = blocks_of_page("database.md", "Backup")
    server.type(away)
    server.type(["rm /var/lib/bakame/uploads/a-file", "systemctl stop bakame.socket bakame.target 'bakame@*' bakame-jobs",
                 "su postgres -c 'dropdb bakame'"])
    server.type(back)
    assert server.type(["bakamectl user list"]) == people
    assert (server.root / "var/lib/bakame/uploads/a-file").read_text() == "whole"
    assert "\nok " not in server.type(["bakamectl migrate --status"])
    wait_until(lambda: server.show("bakame@1", "SubState") == "running", 120, "a worker")
