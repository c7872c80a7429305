"""What goes over the wire in these measurements: one small chat request, its answer, and a stream of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

MODEL = "one"
SAID = "a few words of what a model might say"
HEAD = {"id": "chatcmpl-bench-0123456789abcdef", "created": 1_790_000_000, "model": MODEL}
USED = {"prompt_tokens": 12, "completion_tokens": 200, "total_tokens": 212}
ANSWER = json.dumps(
    {
        **HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": SAID * 4}, "finish_reason": "stop"}],
        "usage": USED,
    }
).encode()
MODELS = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0}]}).encode()


def events(count: int, *, usage: bool) -> list[bytes]:
    """A stream of ``count`` events with a word each, and what comes at its end."""

    def event(choices: Sequence[object], **more: object) -> bytes:
        said = {**HEAD, "object": "chat.completion.chunk", "choices": choices, **more}
        return b"data: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"

    words = [
        event([{"index": 0, "delta": {"content": f" word{number}"}, "finish_reason": None}]) for number in range(count)
    ]
    end = event([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    return [*words, end, *([event([], usage=USED)] if usage else ()), b"data: [DONE]\n\n"]


def prompt(events: int, at_once: int, microseconds: int) -> str:
    """How the upstream is to answer: ``microseconds`` from piece to piece of a stream."""
    return f"{events} events, {at_once} at once, every {microseconds} us"


def request(headers: Sequence[tuple[str, str]], text: str, *, stream: bool = False) -> bytes:
    """The bytes of one request."""
    asked = {"model": MODEL, "messages": [{"role": "user", "content": text}], **({"stream": True} if stream else {})}
    body = json.dumps(asked).encode()
    named = [("host", "127.0.0.1"), ("content-type", "application/json"), *headers, ("content-length", str(len(body)))]
    head = "".join(f"{name}: {value}\r\n" for name, value in named)
    return f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body
