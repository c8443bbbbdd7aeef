#!/usr/bin/python3
"""The demo model: a small OpenAI-compatible server that answers offline.

POST /v1/chat/completions (streaming and not), GET /v1/models and /v1/models/{id}, GET /health.
What it says is decided in brain.py; this file is the server: HTTP/1.1 with kept connections, bounded
sizes, a natural pace, one log line per request on stderr, and a clean end on SIGTERM.
"""

import argparse
import asyncio
import itertools
import json
import re
import signal
import sys
import time
from http import HTTPStatus

import brain

HEAD_MAX_BYTES = 16 * 1024
BODY_MAX_BYTES = 2 * 1024 * 1024
IDLE_MAX_SECS = 75              # a kept connection without a request
BODY_MAX_SECS = 30              # a body that trickles in
CONNECTIONS_MAX = 1024
FIRST_TOKEN_SECS = 0.15

completion_ids = itertools.count(1)


class BadRequest(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


# --- HTTP ----------------------------------------------------------------------------------------


class Connection:
    """One client's connection: reads requests, writes responses, keeps what the log line needs."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.status = 0
        self.keep_alive = True

    async def read_request(self):
        """(method, path, body), or None when the client has no more requests."""
        self.keep_alive = False     # where the next request begins is known only once this one is read whole
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), IDLE_MAX_SECS)
        except (asyncio.IncompleteReadError, asyncio.TimeoutError):
            return None
        except asyncio.LimitOverrunError:
            raise BadRequest(431, f"The request's head is over {HEAD_MAX_BYTES} bytes.") from None
        request_line, *header_lines = head.decode("latin-1").split("\r\n")
        try:
            method, target, version = request_line.split(" ")
        except ValueError:
            raise BadRequest(400, "Not an HTTP request.") from None
        headers = {}
        for line in header_lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = await self.read_body(headers)
        self.keep_alive = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        return method, target.partition("?")[0], body

    async def read_body(self, headers):
        if "transfer-encoding" in headers:
            raise BadRequest(411, "Send the body with a Content-Length.")
        declared = headers.get("content-length", "0")
        if not re.fullmatch(r"\d{1,12}", declared):
            raise BadRequest(400, "Content-Length is not a number.")
        length = int(declared)
        if length > BODY_MAX_BYTES:
            raise BadRequest(413, f"The body is over {BODY_MAX_BYTES} bytes.")
        if headers.get("expect", "").lower() == "100-continue":
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            return await asyncio.wait_for(self.reader.readexactly(length), BODY_MAX_SECS)
        except asyncio.TimeoutError:
            raise BadRequest(408, f"The body did not arrive within {BODY_MAX_SECS} s.") from None

    def write_head(self, status, headers):
        self.status = status
        connection = "keep-alive" if self.keep_alive else "close"
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Connection: {connection}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")

    async def send_json(self, status, value):
        body = json.dumps(value, ensure_ascii=False).encode()
        self.write_head(status, {"Content-Type": "application/json", "Content-Length": len(body)})
        self.writer.write(body)
        await self.writer.drain()

    async def send_error(self, status, message):
        kind = "invalid_request_error" if status < 500 else "server_error"
        await self.send_json(status, {"error": {"message": message, "type": kind, "param": None, "code": None}})

    async def start_stream(self):
        self.write_head(200, {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache",
                              "Transfer-Encoding": "chunked"})
        await self.writer.drain()

    async def send_event(self, data):
        event = f"data: {data}\n\n".encode()
        self.writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await self.writer.drain()

    async def end_stream(self):
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


# --- chat completions ----------------------------------------------------------------------------


def tokens_of(text):
    """Words with the space before them: about what a tokenizer makes of prose."""
    return re.findall(r"\s*\S+\s*$|\s*\S+", text)


def usage_of(request, completion_tokens):
    prompt_tokens = sum(len(tokens_of(brain.text_of(m))) + 3 for m in request["messages"])
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens}


def parse_chat(body):
    """The request as a dict whose `messages` are dicts; raises BadRequest."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest(400, "The body is not JSON.") from None
    messages = request.get("messages") if isinstance(request, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        raise BadRequest(400, "`messages` must be an array of at least one message.")
    return request


def max_tokens_of(request):
    for name in ("max_completion_tokens", "max_tokens"):
        value = request.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return None


class Completion:
    """A reply cut into what goes out: tokens or tool calls, why it ends, what it cost."""

    def __init__(self, request):
        reply = brain.reply_to(request)
        serial = next(completion_ids)
        self.envelope = {"id": f"chatcmpl-demo-{serial}", "created": int(time.time()), "model": brain.MODEL}
        self.tokens = tokens_of(reply.text)
        self.tool_calls = [
            {"id": f"call_{serial}_{index}", "type": "function",
             "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}}
            for index, (name, arguments) in enumerate(reply.tool_calls)
        ]
        self.finish_reason = "tool_calls" if self.tool_calls else "stop"
        limit = max_tokens_of(request)
        if limit is not None and len(self.tokens) > limit:
            self.tokens = self.tokens[:limit]
            self.finish_reason = "length"
        argument_tokens = sum(len(tokens_of(call["function"]["arguments"])) for call in self.tool_calls)
        self.usage = usage_of(request, len(self.tokens) + argument_tokens)

    def chunk(self, delta, finish_reason=None):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return json.dumps({**self.envelope, "object": "chat.completion.chunk", "choices": [choice]}, ensure_ascii=False)

    def usage_chunk(self):
        return json.dumps({**self.envelope, "object": "chat.completion.chunk", "choices": [], "usage": self.usage})

    def whole(self):
        message = {"role": "assistant", "content": "".join(self.tokens) or None, "refusal": None}
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return {**self.envelope, "object": "chat.completion", "choices": [choice], "usage": self.usage}


class Server:
    def __init__(self, tokens_per_second):
        self.token_secs = 1 / tokens_per_second if tokens_per_second > 0 else 0
        self.first_token_secs = FIRST_TOKEN_SECS if self.token_secs else 0
        self.tasks = set()

    async def serve_connection(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            connection = Connection(reader, writer)
            if len(self.tasks) > CONNECTIONS_MAX:
                connection.keep_alive = False
                await connection.send_error(503, "Too many connections.")
            while connection.keep_alive and await self.serve_request(connection):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass        # the client left, or the server is ending
        finally:
            self.tasks.discard(task)
            writer.close()

    async def serve_request(self, connection):
        """False when the client has no more requests."""
        started, what = time.monotonic(), ""
        connection.status = 0
        try:
            request = await connection.read_request()
            if request is None:
                return False
            method, path, body = request
            started, what = time.monotonic(), f"{method} {path}"
            await self.route(connection, method, path, body)
        except BadRequest as error:
            await connection.send_error(error.status, str(error))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            what += " (cut off)"
            raise
        except Exception as error:      # a request of a shape that the brain did not expect
            what += f" ({type(error).__name__}: {error})"
            connection.keep_alive = False
            if connection.status == 0:
                await connection.send_error(500, "The demo model could not understand this request.")
        finally:
            if connection.status:
                log(f"{printable(what)} {connection.status} {(time.monotonic() - started) * 1000:.0f} ms")
        return True

    async def route(self, connection, method, path, body):
        model = {"id": brain.MODEL, "object": "model", "created": 0, "owned_by": "bakame"}
        routes = {
            "/v1/chat/completions": ("POST", lambda: self.chat(connection, body)),
            "/v1/models": ("GET", lambda: connection.send_json(200, {"object": "list", "data": [model]})),
            f"/v1/models/{brain.MODEL}": ("GET", lambda: connection.send_json(200, model)),
            "/health": ("GET", lambda: connection.send_json(200, {"status": "ok"})),
        }
        if path not in routes:
            return await connection.send_error(404, "No such page; this is Bakame's demo model.")
        allowed, handler = routes[path]
        if method != allowed:
            return await connection.send_error(405, f"Use {allowed}.")
        return await handler()

    async def chat(self, connection, body):
        request = parse_chat(body)
        completion = Completion(request)
        if not request.get("stream"):
            await asyncio.sleep(self.first_token_secs)
            return await connection.send_json(200, completion.whole())
        await connection.start_stream()
        await self.stream(connection, completion)
        options = request.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage"):
            await connection.send_event(completion.usage_chunk())
        await connection.send_event("[DONE]")
        return await connection.end_stream()

    async def stream(self, connection, completion):
        await connection.send_event(completion.chunk({"role": "assistant", "content": ""}))
        await asyncio.sleep(self.first_token_secs)
        for index, call in enumerate(completion.tool_calls):
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            start = {"index": index, **call, "function": {"name": name, "arguments": ""}}
            await connection.send_event(completion.chunk({"tool_calls": [start]}))
            for piece in tokens_of(arguments):
                await self.pause()
                more = {"index": index, "function": {"arguments": piece}}
                await connection.send_event(completion.chunk({"tool_calls": [more]}))
        for token in completion.tokens:
            await connection.send_event(completion.chunk({"content": token}))
            await self.pause()
        await connection.send_event(completion.chunk({}, completion.finish_reason))

    async def pause(self):
        if self.token_secs:
            await asyncio.sleep(self.token_secs)


# --- the program ---------------------------------------------------------------------------------


def log(line):
    print(time.strftime("%Y-%m-%d %H:%M:%S"), line, file=sys.stderr, flush=True)


def printable(text):
    """What a client sent, safe for one line of a log."""
    return "".join(c if c.isprintable() else "?" for c in text[:200])


async def run(options):
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, ending.set)
    server = Server(options.tokens_per_second)
    try:
        listener = await asyncio.start_server(server.serve_connection, options.host, options.port, limit=HEAD_MAX_BYTES)
    except OSError as error:
        sys.exit(f"model.py: cannot listen on {options.host}:{options.port}: {error.strerror}; choose another --port")
    host, port = listener.sockets[0].getsockname()[:2]
    log(f"demo model at http://{host}:{port}/v1")
    await ending.wait()
    listener.close()
    for task in list(server.tasks):
        task.cancel()
    await asyncio.gather(*server.tasks, return_exceptions=True)
    log("demo model ended")


def main():
    parser = argparse.ArgumentParser(description="Bakame's demo model: an OpenAI-compatible server that answers offline.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one; it is logged)")
    parser.add_argument("--tokens-per-second", type=float, default=40, help="pace (default: %(default)s; 0: at once)")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
