"""contract.py - what every response must keep, whatever it says."""
import re

from client import DONE

STATUS_OF = {
    "invalid_request": 400, "unauthorized": 401, "forbidden": 403, "not_found": 404,
    "method_not_allowed": 405, "conflict": 409, "payload_too_large": 413,
    "unsupported_media_type": 415, "unprocessable": 422, "rate_limit_exceeded": 429,
    "internal_error": 500, "upstream_error": 502, "service_unavailable": 503,
    "upstream_timeout": 504,
}
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
REQUEST_ID = re.compile(r"[0-9A-Za-z_.-]{16,64}")


def assert_error(exchange, kind):
    """An error answer of this type, whole and honest; returns its message."""
    body = exchange.json()
    assert exchange.status == STATUS_OF[kind], body
    assert exchange.header("Content-Type").startswith("application/json")
    error = body["error"]
    assert error["type"] == kind
    assert error["message"]
    assert error["request_id"] == exchange.header("X-Request-Id")
    return error["message"]


def assert_retry_after(exchange, at_most=None):
    seconds = int(exchange.header("Retry-After"))
    assert seconds >= 1
    assert at_most is None or seconds <= at_most


def assert_ends_in_error(events, kind, request_id=None):
    """A stream that broke: one error event, the last of all, and no [DONE]."""
    assert DONE not in events
    errors = [event for event in events if "error" in event]
    assert errors == events[-1:], events
    error = errors[0]["error"]
    assert error["type"] == kind, error
    assert error["message"]
    assert request_id is None or error["request_id"] == request_id
    return error["message"]


def is_chunk(event):
    return (event["object"] == "chat.completion.chunk" and event["id"] and event["model"]
            and isinstance(event["created"], int) and isinstance(event["choices"], list))
