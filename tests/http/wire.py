"""wire.py - what is between a client and a server, to be cut."""
import contextlib
import socket
import struct
import threading

RESET = struct.pack("ii", 1, 0)         # SO_LINGER: closing is a reset


class Wire:
    """A port that leads to another one of this machine."""

    def __init__(self, port):
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._pairs.append((near, far))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        if (source, sink) in self._pairs or (sink, source) in self._pairs:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def cut(self, reset=False):
        """End all connections of now, in mid-sentence."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)     # whoever reads lets go
                end.close()

    def close(self):
        self._listener.close()
        self.cut()
