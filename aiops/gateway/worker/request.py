"""What the rules can ask about a request, read from its body as LiteLLM's hook has it and from its headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiops.spec.choosing.conditions import Facts
from aiops.spec.choosing.request_facts import CHARACTERS_PER_TOKEN, facts_of

_TEXTS = ("content", "text", "parts")
DEEPEST = 100  # objects and lists inside of each other
PROMPTS = ("messages", "prompt", "input", "system", "instructions", "contents")


def facts(name: str, body: Mapping[str, Any], headers: Iterable[tuple[bytes, bytes]]) -> Facts:
    """``request_count`` and the saturations are not known here."""
    named = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in headers}
    length = characters(body)
    tokens = -(-length // CHARACTERS_PER_TOKEN)
    return facts_of(
        name,
        headers=named,
        tokens=tokens,
        length=length,
        stream=body.get("stream") is True,
        batch_size=batch_size(body),
    )


def characters(body: Mapping[str, Any]) -> int:
    """The text of its prompts."""
    return sum([_characters(body[key]) for key in PROMPTS if key in body])


def batch_size(body: Mapping[str, Any]) -> int:
    """How many prompts or inputs one request carries. A list of numbers is one prompt, of tokens; messages are one."""
    for key in ("prompt", "input"):
        given = body.get(key)
        if isinstance(given, list) and given and isinstance(given[0], str | list):
            return len(given)
    return 1


def _characters(value: Any, depth: int = 0) -> int:
    """The text in a prompt of any shape: a string, messages, parts of a message, tokens (four characters each).

    Raises RecursionError for what LiteLLM would stumble over."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, int):
        return CHARACTERS_PER_TOKEN
    if depth > DEEPEST:
        raise RecursionError
    if isinstance(value, list):
        return sum([_characters(each, depth + 1) for each in value])
    if isinstance(value, dict):
        # Of a part only its text: an image in base64 is no words.
        return sum([_characters(value[key], depth + 1) for key in _TEXTS if key in value])
    return 0
