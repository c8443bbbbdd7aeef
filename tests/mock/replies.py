"""replies.py - what an OpenAI-compatible server says: chunks, completions, errors.

Pure functions, used by the mock to answer and by tests to know what must
arrive.  Shapes: https://platform.openai.com/docs/api-reference/chat
"""
import json

ID = "chatcmpl-mock0001"
CREATED = 1767225600
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
PIECES = ["Hello", " from", " the", " mock", "."]


def chunk(delta=None, finish_reason=None, model="mock-model", index=0, **more):
    """One chat.completion.chunk with one choice."""
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish_reason}
    return {"id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": model,
            "choices": [choice], **more}


def text_chunk(text, model="mock-model"):
    return chunk({"content": text}, model=model)


def usage_chunk(usage=None, model="mock-model"):
    return {"id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": model,
            "choices": [], "usage": usage or USAGE}


def tool_call_chunks(calls, model="mock-model", fragment=4):
    """The calls as OpenAI streams them: name first, then arguments in fragments."""
    for index, call in enumerate(calls):
        head = {"index": index, "id": call["id"], "type": "function",
                "function": {"name": call["name"], "arguments": ""}}
        yield chunk({"tool_calls": [head]}, model=model)
        arguments = call["arguments"]
        for start in range(0, len(arguments), fragment):
            piece = {"index": index, "function": {"arguments": arguments[start:start + fragment]}}
            yield chunk({"tool_calls": [piece]}, model=model)


def stream_chunks(pieces=None, tool_calls=None, usage=None, finish_reason=None,
                  include_usage=False, model="mock-model"):
    """All chunks of one streamed answer, without the final [DONE]."""
    yield chunk({"role": "assistant", "content": None if tool_calls else ""}, model=model)
    for piece in pieces if pieces is not None else [] if tool_calls else PIECES:
        yield text_chunk(piece, model)
    if tool_calls:
        yield from tool_call_chunks(tool_calls, model)
    yield chunk(finish_reason=finish_reason or ("tool_calls" if tool_calls else "stop"), model=model)
    if include_usage:
        yield usage_chunk(usage, model)


def completion(pieces=None, tool_calls=None, usage=None, finish_reason=None, model="mock-model"):
    """The same answer as one chat.completion."""
    message = {"role": "assistant", "content": "".join(PIECES if pieces is None else pieces)}
    if tool_calls:
        message["content"] = "".join(pieces) if pieces else None
        message["tool_calls"] = [
            {"id": call["id"], "type": "function",
             "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in tool_calls]
    choice = {"index": 0, "message": message,
              "finish_reason": finish_reason or ("tool_calls" if tool_calls else "stop")}
    return {"id": ID, "object": "chat.completion", "created": CREATED, "model": model,
            "choices": [choice], "usage": usage or USAGE}


def error(message, kind="server_error", code=None):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def event(data, line_end="\n"):
    """One server-sent event; `data` is a dict (sent as JSON) or text."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    lines = "".join(f"data: {line}{line_end}" for line in text.split("\n"))
    return lines + line_end
