"""How a prompt begins, as digests of its leading parts: by them two requests are seen to share a prefix. Pure.

A server keeps what it has computed of a prompt, and a prompt that begins in the same way costs it only what is new. All
workers and gateways make the same digests of the same prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

FIRST = 256  # bytes: less than this is computed faster than it is looked for
GROWTH = 1.25  # each part ends a quarter further on: 33 digests are enough for the longest prompts
MOST = 1 << 18  # bytes that are looked at: half a millisecond; two prompts that share so much are one to us
ENOUGH = 3
"""A prefix that is this many parts shorter than the prompt is about half of it. Less is not worth a busier server."""

LEADING = ("system", "instructions", "messages", "prompt", "input", "contents")
"""Where a prompt stands in a body, in the order in which a model reads it."""
_OPERATORS = ("system", "developer")
_NO_TEXT = ("role", "type", "cache_control")  # the last one moves on from turn to turn, and no model reads it
_SIZE = 8  # bytes of a digest


def _ends() -> tuple[int, ...]:
    ends = [FIRST]
    while ends[-1] < MOST:
        ends.append(int(ends[-1] * GROWTH))
    return tuple(ends)


ENDS = _ends()
"""After how many bytes each part of a prompt ends that is digested: each with all before it."""


class Prefix(NamedTuple):
    """``parts``: a digest for each of ``ENDS`` that the prompt reaches. ``home``: of what the operator wrote and the
    beginning of what the user says first: the same in each turn of a conversation, and seldom in two of them."""

    home: bytes
    parts: tuple[bytes, ...]


def prefix(model: str, body: Mapping[str, Any]) -> Prefix | None:
    """Of a request for ``model``; None when it has no prompt. What is no text, an image for instance, counts as what
    stands for it in the body."""
    state = blake2b(model.encode(), digest_size=_SIZE)
    parts: list[bytes] = []
    home: bytes | None = None
    length = 0
    for role, text in _texts(body):
        if home is None and role not in _OPERATORS:
            opening = state.copy()
            opening.update(_bytes(text[:FIRST]))
            home = opening.digest()
        state.update(role.encode("utf-8", "replace"))
        piece = _bytes(text[: MOST - length])
        at = 0
        while len(parts) < len(ENDS) and length + len(piece) - at >= ENDS[len(parts)]:
            step = ENDS[len(parts)] - length
            state.update(piece[at : at + step])
            parts.append(state.digest())
            at, length = at + step, length + step
        state.update(piece[at:])
        length += len(piece) - at
        if length >= MOST:
            break
    if home is None and length:
        home = state.digest()
    return None if home is None else Prefix(home, tuple(parts))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _texts(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Who says what, in the order in which a model reads it."""
    for key in LEADING:
        value = body.get(key)
        if value is None:
            continue
        role = "system" if key in ("system", "instructions") else "user"
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, Mapping):
                said = str(item.get("role", role))
                yield from ((said, text) for text in _of(item))
            elif isinstance(item, int):  # a prompt of tokens
                yield role, ",".join(map(str, value[:MOST]))
                break
            else:
                yield from ((role, text) for text in _of(item))


def _of(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            yield from _of(part)
    elif isinstance(content, Mapping):
        for key, value in content.items():
            if key not in _NO_TEXT:
                yield from _of(value)
    elif content is not None:
        yield str(content)
