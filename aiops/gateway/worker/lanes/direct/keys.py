"""The fields of a JSON object, where its bytes have them."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Possessive: a picture is a text of megabytes, and each way back would be remembered.
_TOKEN = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"(\s*+:)?|[{}\[\]]')


def keys_at_the_top(sent: bytes) -> Iterator[re.Match[bytes]]:
    """Those of the body itself, and of no other object in it."""
    depth = 0
    for token in _TOKEN.finditer(sent):
        first = sent[token.start()]
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
        elif depth == 1 and token[2]:
            yield token
