"""Which pieces of an event stream come before its first token: a role without a word, the announcement of an answer."""

from __future__ import annotations

import json
from typing import Any

# Of /v1/messages and /v1/responses. A `ping` is none: it is sent because somebody has to be kept waiting.
ANNOUNCEMENTS = frozenset({"message_start", "content_block_start", "response.created", "response.in_progress"})
_DATA = b"data:"


def announces(body: bytes) -> bool:
    """Whether a piece of an event stream only says that an answer begins. What is not understood does not."""
    lines = [line for line in body.split(b"\n") if line.startswith(_DATA)]
    return bool(lines) and all(_announces(line.removeprefix(_DATA)) for line in lines)


def _announces(data: bytes) -> bool:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(event, dict):
        return False
    choices = event.get("choices")
    if not choices:
        return str(event.get("type")) in ANNOUNCEMENTS
    return isinstance(choices, list) and not any(_says(choice) for choice in choices)


def _says(choice: Any) -> bool:
    """Whether there is anything but a role in it, or what is not understood."""
    delta = (choice.get("delta") or {}) if isinstance(choice, dict) else None
    if not isinstance(delta, dict):
        return True
    said = any(value for name, value in delta.items() if name != "role")
    return bool(said or choice.get("text") or choice.get("finish_reason"))
