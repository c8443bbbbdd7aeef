#!/usr/bin/python3
"""any_status.py - a FastCGI application that answers /api/status/NNN with that status, and with the parameters it got.

It takes its listening socket on descriptor 0, as any worker.
"""
import json
import socket
import struct
import sys
import threading


def read_exactly(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def read_params(data):
    params, at = {}, 0

    def length(at):
        if data[at] < 128:
            return data[at], at + 1
        return struct.unpack("!I", data[at:at + 4])[0] & 0x7FFFFFFF, at + 4
    while at < len(data):
        name_len, at = length(at)
        value_len, at = length(at)
        params[data[at:at + name_len].decode()] = data[at + name_len:at + name_len + value_len].decode()
        at += name_len + value_len
    return params


def answer_to(params):
    uri = params["REQUEST_URI"]
    last = uri.rpartition("/")[2]
    status = int(last) if last.isdigit() else 200
    head = f"Status: {status} Scripted\r\nContent-Type: application/json; charset=utf-8\r\nX-Request-Id: {params['REQUEST_ID']}\r\n"
    if status in (429, 503):
        head += "Retry-After: 7\r\n"
    return head.encode() + b"\r\n" + json.dumps(params).encode()


def record(kind, content=b""):
    return struct.pack("!BBHHBx", 1, kind, 1, len(content), 0) + content


def serve(connection):
    stream = connection.makefile("rb")
    while True:
        params = b""
        keep = False
        while True:
            _version, kind, _request, size, padding = struct.unpack("!BBHHBx", read_exactly(stream, 8))
            content = read_exactly(stream, size)
            read_exactly(stream, padding)
            if kind == 1:
                keep = bool(content[2] & 1)
            elif kind == 4:
                params += content
            elif kind == 5 and size == 0:
                break
        connection.sendall(record(6, answer_to(read_params(params))) + record(6) + record(3, bytes(8)))
        if not keep:
            return


def serve_until_closed(connection):
    with connection:
        try:
            serve(connection)
        except (EOFError, ConnectionError):
            pass


def main():
    listener = socket.socket(fileno=sys.stdin.fileno())
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_until_closed, args=[connection], daemon=True).start()


main()
