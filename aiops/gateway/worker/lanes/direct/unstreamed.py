"""Servers that do not stream, and answer in one piece whoever asks them to: their answer as a stream of one event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import orjson

OBJECTS: Final = {"chat/completions": "chat.completion.chunk", "completions": "text_completion"}
"""What the events of a path are called."""


def events(path: str, said: object) -> bytes | None:
    """``said``: the answer, read. None where it is none, or has no other form than its own."""
    if path not in OBJECTS or not isinstance(said, dict) or said.get("error"):
        return None
    choices = said.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        return None
    common = {name: value for name, value in said.items() if name not in ("choices", "usage")}
    common["object"] = OBJECTS[path]
    found = [{**common, "choices": [_delta(choice) for choice in choices]}]
    if isinstance(said.get("usage"), dict):
        found.append({**common, "choices": [], "usage": said["usage"]})
    return b"".join(b"data: " + orjson.dumps(each) + b"\n\n" for each in found) + b"data: [DONE]\n\n"


async def at_once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _delta(choice: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(choice.get("message"), dict):
        return dict(choice)
    message = dict(choice["message"])
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        message["tool_calls"] = [{"index": place, **call} for place, call in enumerate(calls) if isinstance(call, dict)]
    return {**{name: value for name, value in choice.items() if name != "message"}, "delta": message}
