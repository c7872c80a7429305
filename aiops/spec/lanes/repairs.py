"""What LiteLLM puts right in a chat before it asks a provider that speaks OpenAI's words. Who writes like that is still
served by way of LiteLLM: directly the provider would be sent it as it is.

Held against LiteLLM by tests/unit/spec/test_lanes_repairs.py. What it leaves out of every request is not among it, nor
what it refuses itself: docs/lanes.md says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_PARTS = frozenset({"file", "tool_use", "tool_reference"})
"""Parts of a message that are rewritten: a file by its address is fetched, others are words of Anthropic's."""
_CACHE = "cache_control"


def repaired(said: Mapping[str, Any]) -> str:
    """What of the body of a chat would be put right, in a word; empty when it would be left as it is."""
    return next(_repairs(said), "")


def _repairs(said: Mapping[str, Any]) -> Iterator[str]:
    if said.get("thinking") is not None:
        yield "thinking"
    choice, tools = said.get("tool_choice"), said.get("tools")
    if choice is not None and (not (tools or said.get("functions")) or _is_short(choice)):
        yield "tool_choice"
    for tool in _dicts(tools):
        if tool.get("type") == "custom" or _CACHE in tool:
            yield "tools"
    for message in _dicts(said.get("messages")):
        role, content = message.get("role"), message.get("content")
        if not role or _CACHE in message or "thinking_blocks" in message:
            yield "messages"
        if isinstance(content, list):
            yield from (str(part.get("type")) for part in _dicts(content) if _is_odd(part, role))


def _is_odd(part: Mapping[str, Any], role: object) -> bool:
    kind = part.get("type")
    if kind == "image_url":
        image = part.get("image_url")
        return role == "tool" or not isinstance(image, dict) or "format" in image or _CACHE in part
    return kind in _PARTS or _CACHE in part


def _is_short(choice: object) -> bool:
    return isinstance(choice, dict) and "function" not in choice


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())
