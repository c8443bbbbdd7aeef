"""redis_server.py - a private redis-server that tests start, freeze, kill and start again.

    redis = RedisServer(tmp_path / "redis")             # listens on 127.0.0.1 and on a unix socket
    redis.url, redis.unix_url                           # for REDIS_URL
    redis.command("SET", "key", "value")                # b"OK"; errors raise RedisError
    redis.freeze(); redis.thaw()
    redis.kill(); redis.start()                         # empty: nothing was saved
    redis.restart(keep=True)                            # with its data
    redis.stop()
"""
import itertools
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import process
from ports import hold_port, port_of

START_SECONDS = 60
ANSWER_SECONDS = 120


class RedisError(Exception):
    """What Redis answered with a minus in front."""


class RedisServer:
    numbers = itertools.count(1)

    def __init__(self, directory, *options, password=None, start=True):
        """`options` are further ones of redis-server: "--maxmemory", "2mb"."""
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.options = [*options]
        self.password = password
        self.hold = hold_port()
        self.port = port_of(self.hold)
        self.process = None
        # a path of a socket has at most 107 bytes
        self.socket_path = Path(f"/tmp/bakame-redis-{os.getpid()}-{next(self.numbers)}.sock")
        if password:
            self.options += ["--requirepass", password]
        if start:
            self.start()

    @property
    def url(self):
        return f"redis://:{self.password}@127.0.0.1:{self.port}" if self.password else f"redis://127.0.0.1:{self.port}"

    @property
    def unix_url(self):
        return f"unix://:{self.password}@{self.socket_path}" if self.password else f"unix:{self.socket_path}"

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        """Start it, on the port that it had; with the data that restart(keep=True) saved, else empty."""
        with open(self.directory / "redis.log", "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", str(self.socket_path),
                 "--unixsocketperm", "700", "--dir", str(self.directory), "--save", "", "--appendonly", "no",
                 "--daemonize", "no", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=process.end_with_parent)
        if not self._answers():
            process.stop(self.process)
            raise AssertionError("redis-server did not start: " + self.log())

    def _answers(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.command("PING")
                return True
            except RedisError as error:
                if not str(error).startswith("LOADING"):
                    return True
            except OSError:
                pass
            time.sleep(0.01)
        return False

    def log(self):
        return (self.directory / "redis.log").read_text(errors="replace")

    def freeze(self):
        """It accepts connections (the kernel does) and says nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        """As a crash: what was not saved is lost."""
        if self.process and self.process.poll() is None:
            self.thaw()
            self.process.kill()
            self.process.wait()
        (self.directory / "dump.rdb").unlink(missing_ok=True)

    def restart(self, keep):
        """Stop and start it, with its data or empty."""
        if keep:
            self.command("SAVE")
            process.stop(self.process)
        else:
            self.kill()
        self.start()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.thaw()
            self.process.kill()
            self.process.wait()
        self.socket_path.unlink(missing_ok=True)
        self.hold.close()

    def connect(self):
        return Connection(self.socket_path, self.password)

    def command(self, *words):
        """One command on a connection of its own."""
        with self.connect() as connection:
            return connection.command(*words)


class Connection:
    """As much of RESP 2 as tests need."""

    def __init__(self, path, password=None):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_SECONDS)
        try:
            self.socket.connect(str(path))
            self.file = self.socket.makefile("rb")
            if password:
                self.command("AUTH", password)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def command(self, *words):
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        size = int(rest)
        if size < 0:
            return None
        if kind == b"$":
            return self.file.read(size + 2)[:-2]
        return [self._element() for _ in range(size)]

    def _element(self):
        try:
            return self.read()
        except RedisError as error:
            return error
