#!/usr/bin/python3
"""model.py - an OpenAI-compatible model that does what a test tells it to.

HTTP/1.1 by hand, so that it can misbehave.  A request belongs to the script
whose marker, [[NAME]] or [[NAME#TAG]], is the last one in its body (without a
body: to the script named "METHOD PATH").  A script is a list of behaviours,
one per request in order of arrival, the last one for all that follow; a
behaviour is a list of steps (see Player).  Without a script the answer is a
plain good one.  So any number of tests share one mock.

Control, on the same port (never logged):
  PUT  /_script/NAME   a JSON list of behaviours
  POST /_gate/NAME/G   open gate G, that a "gate" step waits for, once and for all
  GET  /_log/NAME      what arrived, as a JSON list of records
  GET  /_wait/NAME?state=received|finished|gone[&tag=T][&count=N][&timeout=S]
                       answers when N records (1) are in the state; 408 past S (60)
  GET  /_lag           the longest this process itself was late since last asked, seconds

Times are CLOCK_MONOTONIC seconds, which every process of the host shares.
Run: model.py [HOST:]PORT; port 0 takes a free one.  The first line of stdout is the address.
"""
import asyncio
import base64
import itertools
import json
import re
import signal
import socket
import struct
import sys
import time
from urllib.parse import parse_qs, unquote, urlsplit

import replies

MARKER = re.compile(rb"\[\[([\w.-]+)(?:#([\w.-]+))?\]\]")
MAX_HEAD = 256 * 1024
SEND_BLOCK = 64 * 1024
LAG_TICK = 0.005


class Request:
    """One request as it arrived, and what became of it."""
    ids = itertools.count(1)

    def __init__(self, connection, method, target, headers, body):
        self.id = next(self.ids)
        self.connection = connection
        self.method = method
        self.target = target
        self.path = urlsplit(target).path
        self.headers = headers
        self.body = body
        markers = MARKER.findall(body)
        name, tag = markers[-1] if markers else (f"{method} {self.path}".encode(), b"")
        self.script, self.tag = name.decode(), tag.decode()
        self.attempt = 0
        self.bytes_sent = 0
        self.received = time.monotonic()
        self.finished = None
        self.gone = None

    def json(self):
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def record(self):
        fields = ("id", "connection", "method", "target", "path", "headers", "script", "tag",
                  "attempt", "bytes_sent", "received", "finished", "gone")
        record = {field: getattr(self, field) for field in fields}
        record["body"] = self.body.decode("utf-8", "backslashreplace")
        return record


class State:
    """Scripts, gates and the log; tells waiters of every change."""

    def __init__(self):
        self.scripts = {}
        self.gates = {}
        self.log = {}
        self.changed = asyncio.Condition()
        self.worst_lag = 0.0

    def gate(self, name):
        return self.gates.setdefault(name, asyncio.Event())

    def behaviour_for(self, request):
        request.attempt = len(self.log.setdefault(request.script, []))
        self.log[request.script].append(request)
        script = self.scripts.get(request.script)
        return script[min(request.attempt, len(script) - 1)] if script else [["reply", {}]]

    async def note(self, request, **changes):
        for name, value in changes.items():
            setattr(request, name, value)
        async with self.changed:
            self.changed.notify_all()

    def in_state(self, name, state, tag):
        return [request for request in self.log.get(name, [])
                if getattr(request, state) is not None and tag in (None, request.tag)]

    async def wait_for(self, name, state, tag, count, timeout):
        """The records in `state`, once there are `count`; None past the timeout."""
        def enough():
            return len(self.in_state(name, state, tag)) >= count
        try:
            async with self.changed:
                await asyncio.wait_for(self.changed.wait_for(enough), timeout)
        except asyncio.TimeoutError:
            return None
        return self.in_state(name, state, tag)

    async def watch_lag(self):
        """A cancellation is timed here: know when it was this process that was late."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(LAG_TICK)
            self.worst_lag = max(self.worst_lag, time.monotonic() - before - LAG_TICK)


class Player:
    """Plays a behaviour to one client.  Steps:
      ["head", status, [[name, value], ...]]  status line and headers, as given; chunked
                                    framing follows Transfer-Encoding: chunked
      ["send", text] ["send64", base64]  bytes of the body; one transfer chunk each
      ["event", data]               a server-sent event
      ["raw", text]                 bytes outside any framing
      ["fill", count, text]         `text` again and again, `count` bytes of it
      ["sleep", seconds]            ["gate", name]       ["hang"]  until the client goes
      ["repeat", count, steps]      @N@ in a text becomes the round's number
      ["bytewise", pause]           from here on every byte travels alone
      ["reply", options]            a whole good answer, streamed or not as asked for
      ["end"]  end the body properly, keep the connection if it was framed
      ["fin"]  ["rst"]              cut the connection, politely or not
      ["last"]                      close after this answer, without a word about it
    """

    def __init__(self, state, request, writer):
        self.state = state
        self.request = request
        self.writer = writer
        self.chunked = False
        self.keep = False
        self.pause = None
        self.round = 0
        self.over = False
        self.last = False

    async def play(self, steps):
        """Returns whether the connection may serve another request."""
        await self.run(steps)
        if not self.over:
            await self.step_end()
        return self.keep and not self.last

    async def run(self, steps):
        for name, *arguments in steps:
            if self.over:
                return
            await getattr(self, f"step_{name}")(*arguments)

    async def write(self, data):
        if self.pause is None:
            blocks = (data[i:i + SEND_BLOCK] for i in range(0, len(data), SEND_BLOCK))
        else:
            blocks = (data[i:i + 1] for i in range(len(data)))
        for block in blocks:
            self.writer.write(block)
            await self.writer.drain()
            self.request.bytes_sent += len(block)
            if self.pause is not None:
                await asyncio.sleep(self.pause)

    async def body(self, data):
        if not data:
            return
        if not self.chunked:
            await self.write(data)
        elif self.pause is None:
            await self.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            for i in range(len(data)):
                await self.write(b"1\r\n%b\r\n" % data[i:i + 1])

    def numbered(self, text):
        return text.replace("@N@", str(self.round))

    async def step_head(self, status, headers):
        lines = [f"HTTP/1.1 {status} Mock"] + [f"{name}: {value}" for name, value in headers]
        given = {name.lower(): value.lower() for name, value in headers}
        self.chunked = given.get("transfer-encoding") == "chunked"
        self.keep = self.chunked or "content-length" in given
        await self.write("\r\n".join(lines + ["", ""]).encode())

    async def step_send(self, text):
        await self.body(self.numbered(text).encode())

    async def step_send64(self, data):
        await self.body(base64.b64decode(data))

    async def step_event(self, data):
        await self.body(self.numbered(replies.event(data)).encode())

    async def step_raw(self, text):
        await self.write(text.encode())

    async def step_fill(self, count, text):
        block = text.encode() * (SEND_BLOCK // len(text.encode()) + 1)
        while count > 0:
            part = block[:min(count, SEND_BLOCK)]
            await self.body(part)
            count -= len(part)

    async def step_sleep(self, seconds):
        await asyncio.sleep(seconds)

    async def step_gate(self, name):
        await self.state.gate(f"{self.request.script}/{name}").wait()

    async def step_hang(self):
        await asyncio.Event().wait()

    async def step_repeat(self, count, steps):
        for self.round in range(count):
            await self.run(steps)

    async def step_bytewise(self, pause=0):
        self.pause = pause

    async def step_reply(self, options):
        asked = self.request.json()
        options = dict(options)
        delay = options.pop("delay", 0)
        options.setdefault("model", asked.get("model", "mock-model"))
        if not asked.get("stream"):
            await asyncio.sleep(delay)
            await self.answer_json(200, replies.completion(**options))
            return
        stream_options = asked.get("stream_options") or {}
        options["include_usage"] = bool(stream_options.get("include_usage"))
        await self.step_head(200, [["Content-Type", "text/event-stream"],
                                   ["Transfer-Encoding", "chunked"]])
        for chunk in replies.stream_chunks(**options):
            await self.step_event(chunk)
            await asyncio.sleep(delay)
        await self.step_event("[DONE]")

    async def answer_json(self, status, value):
        data = json.dumps(value).encode()
        await self.step_head(status, [["Content-Type", "application/json"],
                                      ["Content-Length", str(len(data))]])
        await self.write(data)

    async def step_end(self):
        if self.chunked:
            self.pause = None
            await self.write(b"0\r\n\r\n")
        self.over = True

    async def step_fin(self):
        self.over, self.keep = True, False

    async def step_last(self):
        self.last = True

    async def step_rst(self):
        linger_off = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger_off)
        self.writer.transport.abort()
        self.over, self.keep = True, False


class Control:
    """The test's side of the mock: the /_… requests."""

    def __init__(self, state):
        self.state = state

    async def answer(self, request):
        """Returns (status, JSON value)."""
        url = urlsplit(request.target)
        verb, _, name = url.path[2:].partition("/")
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        handler = getattr(self, f"do_{verb}", None)
        return await handler(unquote(name), query, request) if handler else (404, None)

    async def do_script(self, name, _query, request):
        self.state.scripts[name] = json.loads(request.body)
        return 200, None

    async def do_gate(self, name, _query, _request):
        self.state.gate(name).set()
        return 200, None

    async def do_log(self, name, _query, _request):
        return 200, [request.record() for request in self.state.log.get(name, [])]

    async def do_wait(self, name, query, _request):
        found = await self.state.wait_for(
            name, query["state"], query.get("tag"), int(query.get("count", 1)),
            float(query.get("timeout", 60)))
        if found is None:
            return 408, None
        return 200, [request.record() for request in found]

    async def do_lag(self, _name, _query, _request):
        lag, self.state.worst_lag = self.state.worst_lag, 0.0
        return 200, lag


class Connection:
    """One client connection: requests one after another."""
    ids = itertools.count(1)

    def __init__(self, state, reader, writer):
        self.id = next(self.ids)
        self.state = state
        self.reader = reader
        self.writer = writer
        self.early = b""        # read while looking whether the client left

    async def read_exactly(self, count):
        data, self.early = self.early[:count], self.early[count:]
        return data + await self.reader.readexactly(count - len(data))

    async def read_line(self):
        data, self.early = self.early, b""
        return data + await self.reader.readuntil(b"\n")

    async def read_body(self, headers):
        if headers.get("expect", "").lower() == "100-continue":
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self.read_exactly(int(headers.get("content-length", 0)))
        parts = []
        while size := int((await self.read_line()).split(b";")[0], 16):
            parts.append(await self.read_exactly(size))
            await self.read_line()
        await self.read_line()
        return b"".join(parts)

    async def read_request(self):
        """The next request, or None when the client is done."""
        try:
            method, target, _ = (await self.read_line()).decode("latin-1").split(" ", 2)
            headers = {}
            while line := (await self.read_line()).decode("latin-1").strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = await self.read_body(headers)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return Request(self.id, method, target, headers, body)

    async def client_gone(self):
        """Returns when the client closed; what it sends meanwhile is kept."""
        try:
            while data := await self.reader.read(SEND_BLOCK):
                self.early += data
        except ConnectionError:
            pass

    async def play(self, request):
        player = Player(self.state, request, self.writer)
        steps = self.state.behaviour_for(request)
        await self.state.note(request)
        playing = asyncio.create_task(player.play(steps))
        watching = asyncio.create_task(self.client_gone())
        await asyncio.wait({playing, watching}, return_when=asyncio.FIRST_COMPLETED)
        now = time.monotonic()
        ended = playing.done() and playing.exception() is None
        for task in (playing, watching):
            task.cancel()
        outcome = await asyncio.gather(playing, watching, return_exceptions=True)
        if ended:
            await self.state.note(request, finished=now)
            return playing.result()
        await self.state.note(request, gone=now)
        if isinstance(outcome[0], Exception) and not isinstance(outcome[0], ConnectionError):
            raise outcome[0]
        return False

    async def serve(self):
        control = Control(self.state)
        keep = True
        while keep and (request := await self.read_request()):
            if request.path.startswith("/_"):
                status, value = await control.answer(request)
                await Player(self.state, request, self.writer).answer_json(status, value)
            else:
                keep = await self.play(request)

    async def run(self):
        self.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.writer.transport.set_write_buffer_limits(high=SEND_BLOCK)
        try:
            await self.serve()
        except ConnectionError:
            pass                # the client of a cut connection
        finally:
            self.writer.close()
            try:
                await self.writer.wait_closed()
            except ConnectionError:
                pass            # asyncio complains of a reset that nobody has asked for


async def main(address):
    host, _, port = address.rpartition(":")
    state = State()

    async def connected(reader, writer):
        await Connection(state, reader, writer).run()

    server = await asyncio.start_server(connected, host or "127.0.0.1", int(port),
                                        limit=MAX_HEAD, backlog=4096)
    print("%s:%d" % server.sockets[0].getsockname()[:2], flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    lag = asyncio.create_task(state.watch_lag())
    await stopped.wait()
    lag.cancel()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "0"))
