"""disturbance.py - a TCP relay between a worker and what it depends on, which can be made to misbehave.

    relay = Disturbance("127.0.0.1", port)      # relay.port stands for it
    relay.behave("hang"); ...; relay.behave("pass")
    relay.stop()

    pass      as if it were not there
    refuse    nobody listens, and what was open is reset
    hang      connections are taken, nothing goes on
    slow      each piece of an answer comes a quarter of a second late
    reset     an answer begins, then the connection is reset
    garbage   answers are random bytes
"""
import os
import socket
import struct
import threading
import time

from ports import hold_port, port_of

MODES = ("refuse", "hang", "slow", "reset", "garbage")
SLOW_SECONDS = 0.25


class Disturbance:
    def __init__(self, host, port):
        self.target = (host, port)
        self.mode = "pass"
        self.changed = threading.Condition()
        self.open = set()
        self.listener = None
        self.hold = hold_port()         # so that it is ours while nobody listens
        self.port = port_of(self.hold)
        self._listen()

    def _listen(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(1024)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(self.target, 60)
            server.settimeout(None)
            for sock in (client, server):       # what comes in pieces leaves so, at once
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            self._reset(client)
            return
        with self.changed:
            if self.listener is None:
                self._reset(client, server)
                return
            self.open.update((client, server))
        threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
        self._pump(server, client, True)

    def _pump(self, source, sink, answers):
        try:
            while data := source.recv(65536):
                with self.changed:
                    while self.mode == "hang":
                        self.changed.wait()
                    mode = self.mode if answers else "pass"
                if mode == "slow":
                    time.sleep(SLOW_SECONDS)
                elif mode == "reset":
                    sink.sendall(data[:len(data) // 2])
                    self._reset(sink, source)
                    return
                elif mode == "garbage":
                    data = os.urandom(len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._reset(sink, source)

    def _reset(self, *sockets):
        for sock in sockets:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
            self.open.discard(sock)

    def behave(self, mode):
        with self.changed:
            if mode == self.mode:
                return
            before, self.mode = self.mode, mode
            if mode == "refuse":
                self._stop_listening()
            elif before == "refuse":
                self._listen()
            self.changed.notify_all()

    def _stop_listening(self):
        if self.listener is not None:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        self._reset(*list(self.open))

    def stop(self):
        with self.changed:
            self.mode = "refuse"
            self._stop_listening()
            self.changed.notify_all()
        self.hold.close()
