"""The key a request brings, and whether it is one. Both are asked before LiteLLM sees the request, and by LiteLLM."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl

from aiops.gateway.worker.settings import MASTER_KEY_VARIABLE

# Where clients of OpenAI, Azure, Anthropic and Google put their key; LiteLLM looks in the same places.
# The first of these that a request has counts, as with LiteLLM.
HEADERS = {
    b"x-litellm-api-key": 0,
    b"authorization": 1,
    b"api-key": 2,
    b"x-api-key": 3,
    b"x-goog-api-key": 4,
    b"ocp-apim-subscription-key": 5,
}
SUBPROTOCOL = "openai-insecure-api-key."
"""Browsers cannot set a header on a websocket: OpenAI's put the key behind this."""


def is_known(key: str) -> bool:
    """Whether this is a key of this gateway. Comparison takes constant time."""
    expected = os.environ.get(MASTER_KEY_VARIABLE, "")
    return bool(expected) and hmac.compare_digest(key.encode(), expected.encode())


def given(headers: Iterable[tuple[bytes, bytes]], query: bytes = b"") -> Iterator[str]:
    """Every key that a request carries, as LiteLLM would read them; ``query``: Google's clients write ``?key=``."""
    headers = list(headers)
    found = [(HEADERS[name], value) for name, value in headers if name in HEADERS]
    for _, value in sorted(found, key=_place) if len(found) > 1 else found:
        yield from _in_header(value.decode("latin-1"))
    for name, value in headers:
        if name == b"sec-websocket-protocol":
            offered = (protocol.strip() for protocol in value.decode("latin-1").split(","))
            yield from (each.removeprefix(SUBPROTOCOL) for each in offered if each.startswith(SUBPROTOCOL))
    if b"key=" in query:
        yield from (value for name, value in parse_qsl(query.decode("latin-1")) if name == "key")


def _place(found: tuple[int, bytes]) -> int:
    return found[0]


def _in_header(value: str) -> Iterator[str]:
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer":
        yield rest.strip()
    elif scheme.lower() == "basic":  # what a browser asks for: the password is the key
        try:
            yield base64.b64decode(rest, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return
    elif value:
        yield value
