"""Answers that are packed, although that was not asked for."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Final

from aiops.gateway.worker.lanes.upstream.answer import WHOLE
from aiops.gateway.worker.lanes.upstream.failed import Malformed

KNOWN: Final = (b"identity", b"", b"gzip", b"x-gzip", b"deflate")
_EITHER: Final = 32 + zlib.MAX_WBITS  # gzip, and what deflate stands for
_PIECE: Final = 1024 * 1024
"""Bytes that are unpacked at once: a few of them may stand for as many as one likes."""
_PLAIN: Final = KNOWN[:2]


def unpacked(pieces: AsyncIterator[bytes], packed: bytes) -> AsyncIterator[bytes]:
    """The same, as they come. ``packed``: the content-encoding, one of those that are known. Raises Malformed."""
    return pieces if packed in _PLAIN else _unpacked(pieces)


def whole(content: bytes, packed: bytes) -> bytes:
    """Raises Malformed, for one that is longer too: packed it may be a thousand times smaller."""
    if packed in _PLAIN:
        return content
    unpack = zlib.decompressobj(_EITHER)
    try:
        said = unpack.decompress(content, WHOLE)
    except zlib.error as error:
        raise Malformed(str(error)) from error
    if not unpack.eof:
        raise Malformed(f"the answer breaks off, or has more than {WHOLE} bytes")
    return said


async def _unpacked(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    unpack = zlib.decompressobj(_EITHER)
    async for piece in pieces:
        while piece:
            try:
                said = unpack.decompress(piece, _PIECE)
            except zlib.error as error:
                raise Malformed(str(error)) from error
            piece = unpack.unconsumed_tail
            if said:
                yield said
