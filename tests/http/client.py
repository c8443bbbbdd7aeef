"""client.py - an HTTP client that sees what a stream is made of, and when.

One Exchange is one request on a connection of its own.
"""
import http.client
import json
import select
import socket
import time

# Past it somebody hangs; a machine that others use may stand still for long.
PATIENCE_SECONDS = 120
END = None      # what next_event() gives after the last event
DONE = "[DONE]"


class Exchange:
    def __init__(self, host, port, method, path, body=None, headers=None, receive_buffer=None):
        self.connection = http.client.HTTPConnection(host, port)
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE_SECONDS)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((host, port))
        self.connection.sock = self.socket
        try:
            self.connection.request(method, path, body, {"Connection": "close", **(headers or {})})
        except (BrokenPipeError, ConnectionResetError):
            pass                # who refuses a body does not wait for its end: the answer is there, if there is one
        self.sent = time.monotonic()
        self.comments = []
        self._answer = None

    @property
    def answer(self):
        """Waits for the head of the response."""
        if self._answer is None:
            self._answer = self.connection.getresponse()
        return self._answer

    @property
    def status(self):
        return self.answer.status

    def header(self, name):
        return self.answer.getheader(name)

    def read(self):
        return self.answer.read()

    def json(self):
        return json.loads(self.read())

    def answered(self):
        """Has anything come?"""
        return self._answer is not None or bool(select.select([self.socket], [], [], 0)[0])

    def next(self):
        """The next event's data, or what next_comment() gives; END after the last."""
        line = self.answer.readline()
        if not line:
            return END
        blank = self.answer.readline()
        assert blank == b"\n", f"{line!r} is followed by {blank!r}"
        if line.startswith(b":"):
            self.comments.append((time.monotonic(), line.decode().rstrip("\n")))
            return self.comments[-1]
        assert line.startswith(b"data: "), f"neither an event nor a comment: {line!r}"
        data = line[6:].decode().rstrip("\n")
        return data if data == DONE else json.loads(data)

    def next_event(self):
        """The next event's data, a dict or "[DONE]"; END after the last.  Any other form fails."""
        while isinstance(found := self.next(), tuple):
            pass
        return found

    def next_comment(self):
        """(when it was read, its text) of the next comment, past any events; END when there is none."""
        while not isinstance(found := self.next(), tuple) and found is not END:
            pass
        return found

    def events(self):
        """All events that are still to come."""
        return list(iter(self.next_event, END))

    def next_text(self):
        """The next piece of the answer's text; whatever is not text is passed over."""
        while (event := self.next_event()) is not END:
            if event_text(event):
                return event_text(event)
        return END

    def read_slowly(self, bytes_per_second, seconds):
        """Take the body at this pace for a while, as raw bytes of the connection."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.socket.recv(max(1, bytes_per_second // 10))
            time.sleep(0.1)

    def leave(self):
        """Close as a client does that is no longer interested; returns when that was."""
        now = time.monotonic()
        self.close()
        return now

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass            # the server was first
        if self._answer is not None:
            self._answer.close()
        self.socket.close()


def event_text(event):
    """The text that one event adds to the answer."""
    if not isinstance(event, dict) or not event.get("choices"):
        return ""
    return event["choices"][0].get("delta", {}).get("content") or ""


def text_of(events):
    return "".join(map(event_text, events))


def is_complete(events):
    """[DONE] is the one proof that nothing is missing."""
    return bool(events) and events[-1] == DONE
