"""Answers that are packed, although that was not asked for."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Final

from aiops.gateway.worker.lanes.upstream.failed import Malformed

KNOWN: Final = (b"identity", b"", b"gzip", b"x-gzip", b"deflate")
_EITHER: Final = 32 + zlib.MAX_WBITS  # gzip, and what deflate stands for
_PLAIN: Final = KNOWN[:2]


def unpacked(pieces: AsyncIterator[bytes], packed: bytes) -> AsyncIterator[bytes]:
    """The same, as they come. ``packed``: the content-encoding, one of those that are known. Raises Malformed."""
    return pieces if packed in _PLAIN else _unpacked(pieces)


def whole(content: bytes, packed: bytes) -> bytes:
    """Raises Malformed."""
    if packed in _PLAIN:
        return content
    try:
        return zlib.decompress(content, _EITHER)
    except zlib.error as error:
        raise Malformed(str(error)) from error


async def _unpacked(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    unpack = zlib.decompressobj(_EITHER)
    async for piece in pieces:
        try:
            said = unpack.decompress(piece)
        except zlib.error as error:
            raise Malformed(str(error)) from error
        if said:
            yield said
