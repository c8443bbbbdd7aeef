"""fcgi.py - a FastCGI client by hand, to send a worker what no web server would.

Records: https://fastcgi-archives.github.io/FastCGI_Specification.html
"""
import socket
import struct

from client import PATIENCE_SECONDS

VERSION = 1
BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES = range(1, 10)
RESPONDER = 1
KEEP_CONN = 1
REQUEST_COMPLETE = 0
MAX_CONTENT = 65535


def record(kind, content=b"", request_id=1, padding=0, version=VERSION):
    return struct.pack("!BBHHBx", version, kind, request_id, len(content), padding) \
        + content + b"\0" * padding


def begin(keep=False, role=RESPONDER, request_id=1):
    return record(BEGIN_REQUEST, struct.pack("!HB5x", role, KEEP_CONN if keep else 0), request_id)


def length(number):
    return struct.pack("!B", number) if number < 128 else struct.pack("!I", number | 0x80000000)


def name_values(pairs):
    """Encode (name, value) pairs; a dict or a list, so that names may repeat."""
    encoded = []
    for name, value in pairs.items() if isinstance(pairs, dict) else pairs:
        name, value = (item if isinstance(item, bytes) else item.encode() for item in (name, value))
        encoded += [length(len(name)), length(len(value)), name, value]
    return b"".join(encoded)


def stream(kind, data, size=MAX_CONTENT, padding=0, end=True):
    """`data` as records of at most `size` bytes, and the empty one that ends the stream."""
    parts = [record(kind, data[i:i + size], padding=padding) for i in range(0, len(data), size)]
    return b"".join(parts) + (record(kind) if end else b"")


def params_of(method, path, body=b"", content_type="application/json", **more):
    """The parameters NGINX would send."""
    params = {"REQUEST_METHOD": method, "REQUEST_URI": path, "SCRIPT_NAME": path.partition("?")[0],
              "QUERY_STRING": path.partition("?")[2], "SERVER_PROTOCOL": "HTTP/1.1",
              "GATEWAY_INTERFACE": "CGI/1.1", "REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "4711",
              "SERVER_NAME": "localhost", "HTTP_HOST": "localhost"}
    if method == "POST":
        params.update(CONTENT_TYPE=content_type, CONTENT_LENGTH=str(len(body)))
    params.update(more)
    return {name: value for name, value in params.items() if value is not None}


def request(params, body=b"", keep=False, size=MAX_CONTENT, padding=0):
    """A whole well-formed request."""
    return (begin(keep) + stream(PARAMS, name_values(params), size, padding)
            + stream(STDIN, body, size, padding))


class Response:
    """What came for one request."""

    def __init__(self, stdout, stderr, app_status, protocol_status):
        self.stderr = stderr
        self.app_status = app_status
        self.protocol_status = protocol_status
        head, separator, self.body = stdout.partition(b"\r\n\r\n")
        assert separator, f"no end of headers in {stdout[:200]!r}"
        lines = [line.partition(":") for line in head.decode().split("\r\n")]
        self.headers = {name.lower(): value.strip() for name, _, value in lines}
        self.status = int(self.headers.get("status", "200").split()[0])


class Connection:
    """One connection to a worker's socket."""

    def __init__(self, path, timeout=PATIENCE_SECONDS):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def close(self):
        self.socket.close()

    def closed_by_worker(self, timeout=PATIENCE_SECONDS):
        """Whether the worker closes this connection, having nothing more to say."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True
        except socket.timeout:
            return False

    def _exactly(self, count):
        while len(self.received) < count:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(f"the worker closed the connection; {self.received[:80]!r} was left")
            self.received += data
        data, self.received = self.received[:count], self.received[count:]
        return data

    def read_record(self):
        """(type, content) of the next record."""
        version, kind, _request_id, size, padding = struct.unpack("!BBHHBx", self._exactly(8))
        assert version == VERSION
        content = self._exactly(size)
        self._exactly(padding)
        return kind, content

    def read_stdout(self, until):
        """STDOUT up to and with `until`, for looking at a response that goes on."""
        data = b""
        while until not in data:
            kind, content = self.read_record()
            assert kind != END_REQUEST, f"the response ended: {data!r}"
            data += content if kind == STDOUT else b""
        return data

    def read_response(self):
        streams = {STDOUT: b"", STDERR: b""}
        while True:
            kind, content = self.read_record()
            if kind == END_REQUEST:
                return Response(streams[STDOUT], streams[STDERR], *struct.unpack("!IB3x", content))
            streams[kind] += content

    def ask(self, method, path, body=b"", keep=False, **more):
        self.send(request(params_of(method, path, body, **more), body, keep))
        return self.read_response()
