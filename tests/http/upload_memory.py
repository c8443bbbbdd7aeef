"""upload_memory.py - what whole uploads at once cost a worker in memory, and what their texts cost it afterwards.

    /usr/bin/python3 tests/http/upload_memory.py [UPLOADS [MIB]]     from a built tree; 50 of 20 MiB without

Each upload comes over a FastCGI connection of its own, as fast as the worker takes it.  The figure is by how much the worker's
memory was larger at its largest (VmHWM, set back before) than before, divided by the uploads.
"""
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "mock")]

import fcgi  # noqa: E402
from people import Person, settings  # noqa: E402
from postgres import Cluster  # noqa: E402
from samples import docx, png  # noqa: E402
from script import MockModel  # noqa: E402
from stack import Stack  # noqa: E402
from test_uploads import BOUNDARY, form, upload  # noqa: E402

MIB = 1 << 20


def status_bytes(worker, field):
    for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {field}")


def forget_peak(worker):
    Path(f"/proc/{worker.pid}/clear_refs").write_text("5")


class Sender(threading.Thread):
    def __init__(self, stack, body, token, start):
        super().__init__()
        self.stack, self.body, self.start_together, self.status = stack, body, start, None
        self.params = fcgi.params_of("POST", "/api/upload", body, content_type=f"multipart/form-data; boundary={BOUNDARY}",
                                     HTTP_AUTHORIZATION=f"Bearer {token}")

    def run(self):
        with self.stack.fastcgi() as connection:
            connection.send(fcgi.begin() + fcgi.stream(fcgi.PARAMS, fcgi.name_values(self.params)))
            connection.send(fcgi.stream(fcgi.STDIN, self.body[:MIB], end=False))
            self.start_together.wait()
            for at in range(MIB, len(self.body), MIB):
                connection.send(fcgi.stream(fcgi.STDIN, self.body[at:at + MIB], end=False))
            connection.send(fcgi.record(fcgi.STDIN))
            self.status = connection.read_response().status


def await_texts(database):
    """Without a queue a worker does some itself and leaves the rest to the clean-up."""
    pending, before = None, ""
    while pending != before:
        before = pending
        time.sleep(5)
        pending = database.sql("select count(*) from uploads where text_status = 'pending'")


def measure(stack, ada, what, body, count):
    before = status_bytes(stack.worker, "VmRSS")
    forget_peak(stack.worker)
    start = threading.Barrier(count)
    senders = [Sender(stack, body, ada.token, start) for _ in range(count)]
    began = time.monotonic()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    took = time.monotonic() - began
    assert all(sender.status == 201 for sender in senders), [sender.status for sender in senders]
    each = (status_bytes(stack.worker, "VmHWM") - before) / count / 1024
    forget_peak(stack.worker)
    await_texts(stack.database)
    after = (status_bytes(stack.worker, "VmHWM") - before) / 1024
    assert each < 1024, each
    print(f"{count} uploads of {len(body) >> 20} MiB at once, {what}: {each:.0f} KiB each at the most, in {took:.1f} s; "
          f"while their texts were had the worker was {after:.0f} KiB larger in all", flush=True)


def main():
    count, mib = (int(word) for word in (sys.argv[1:3] + ["50", "20"][len(sys.argv[1:3]):]))
    words = ("Amakuru y'umunsi ni meza cyane. \n" * 32).encode()
    bodies = {"images": png() + b"\0" * (mib * MIB - len(png())), "texts": words * (mib * MIB // len(words)),
              "DOCX": docx(*["Muraho neza " * 400] * 300)}
    cluster = Cluster()
    try:
        with tempfile.TemporaryDirectory() as directory:
            database = cluster.new_database()
            model = MockModel(Path(directory) / "model.err")
            stack = Stack(directory, model, **settings(
                database, DATABASE_POOL=10, DATABASE_TIMEOUT_MS=60000, UPLOAD_DIR=Path(directory) / "uploads",
                UPLOAD_MAX_BYTES=(mib + 1) * MIB, UPLOAD_QUOTA_BYTES=0, MAX_STREAMS=1000))
            stack.database = database
            try:
                ada = Person(stack).sign_up()
                upload(ada, "warm.txt", words)
                for what, data in bodies.items():
                    measure(stack, ada, what, form(("x", data)), count)
            finally:
                stack.close()
                model.stop()
    finally:
        cluster.close()


if __name__ == "__main__":
    main()
