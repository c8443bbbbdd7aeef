"""A Redis that breaks off in the middle of a reply is found to have done so at once, not when the wait is over."""
import socket
import struct
import subprocess
import threading

from worker import CONTROL_PROGRAM, environment, require_build

RESETS = 4


class BreaksOff:
    """Before a Redis: the first connections get half of their first reply and are reset; the others are passed on."""

    def __init__(self, port):
        self.port_of_redis = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.resets = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.resets < RESETS:
                client.recv(1000)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.send(b"+PO")
                client.close()
                self.resets += 1
                continue
            redis = socket.create_connection(("127.0.0.1", self.port_of_redis))
            for source, sink in ((client, redis), (redis, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def test_half_a_reply_and_a_reset(redis):
    require_build(CONTROL_PROGRAM)
    before = BreaksOff(redis.port)
    env = environment(BAKAME_ENV="development", REDIS_URL=f"redis://127.0.0.1:{before.port}/0", REDIS_TIMEOUT_MS=60000)
    done = subprocess.run([str(CONTROL_PROGRAM), "jobs", "stats"], env=env, capture_output=True, text=True, timeout=400)
    before.stop()
    assert done.returncode == 0, done.stderr
    assert before.resets == RESETS and "waiting" in done.stdout
