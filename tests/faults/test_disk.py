"""The disk of the database and of the uploads is full, to the last byte.

Whoever asks is answered, and what could not be stored waits in Redis; an upload is refused in words and leaves nothing.
When there is room again all is as before, by itself, and each accepted message is stored once.
"""
import errno
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from contract import assert_error, assert_retry_after
from house import House, Keeper, chat
from load import Load, assert_clear
from people import Person
from script import reply
from stack import wait_until
from uploads import form, send

SIZE = "400m"


class Disk:
    """A file system of its own, in memory."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="bakame-disk-"))
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "bakame-test", self.directory],
                                 capture_output=True, text=True)
        if mounted.returncode != 0:
            self.directory.rmdir()
            pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
        self.ballast = self.directory / "ballast"

    def fill(self):
        """To the last byte, also of what was left free meanwhile."""
        with open(self.ballast, "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError as fault:
                    assert fault.errno == errno.ENOSPC

    def make_room(self):
        self.ballast.unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "--lazy", self.directory], check=True)
        self.directory.rmdir()


@pytest.fixture(scope="module")
def disk():
    disk = Disk()
    yield disk
    disk.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory, model, providers, disk):
    uploads = disk.directory / "uploads"
    uploads.mkdir()
    built = House(tmp_path_factory.mktemp("house"), model, providers, disk.directory, UPLOAD_DIR=str(uploads))
    yield built
    built.close()


@pytest.mark.limit(240)
def test_turns_wait_until_the_database_has_room(well, disk, slowness):
    script = well.model.script(reply())

    def is_queued():
        disk.fill()             # the database gives room back, too
        exchange = well.person.send("POST", "/api/chat", chat(script))
        told = exchange.next_event()["bakame"] if exchange.status == 200 else {}
        exchange.close()
        return told.get("queued")
    load, keeper = Load(well.asks()), Keeper(well)
    try:
        wait_until(is_queued, 90, "an answer whose turn waits")
        for _ in range(5):
            is_queued()
    finally:
        disk.make_room()
    if well.cluster.process.poll() is not None:     # it could not even recover: as a supervisor does
        well.cluster.stop()
        well.cluster.start()
    well.wait_well(60)
    outcomes = load.stop()
    assert_clear(outcomes, slowness)
    # who keeps nothing has not felt it
    assert not [outcome for outcome in outcomes if outcome.kind in ("guest", "whole", "v1", "tool") and not outcome.complete]
    assert keeper.assert_kept() > 0
    assert all(worker.alive() for worker in well.stack.workers)


@pytest.mark.limit(120)
def test_an_upload_is_refused_and_leaves_nothing(well, disk):
    ada = Person(well.stack, "uploads@example.org").sign_up()
    directory = disk.directory / "uploads"
    before = sum(len(files) for _, _, files in os.walk(directory))
    # room for the database's own few rows, but not for this
    disk.fill()
    with open(disk.ballast, "r+b") as file:
        file.truncate(disk.ballast.stat().st_size - 300_000)
    exchange = send(ada, form(("notes.txt", b"x" * 900_000)))
    message = assert_error(exchange, "service_unavailable")
    assert "room" in message and str(directory) not in message
    assert_retry_after(exchange)
    assert sum(len(files) for _, _, files in os.walk(directory)) == before
    disk.make_room()
    exchange = send(ada, form(("notes.txt", b"x" * 900_000)))
    assert exchange.status == 201, exchange.json()
