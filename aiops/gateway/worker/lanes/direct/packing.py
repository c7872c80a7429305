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
    said, left = [], WHOLE
    unpack = _Unpack()
    while content and left:
        piece = unpack.some(content, left)
        content, left = unpack.left, left - len(piece)
        said.append(piece)
    if content or not unpack.is_whole:
        raise Malformed(f"the answer breaks off, or has more than {WHOLE} bytes")
    return said[0] if len(said) == 1 else b"".join(said)


async def _unpacked(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    unpack = _Unpack()
    async for piece in pieces:
        while piece:
            said, piece = unpack.some(piece, _PIECE), unpack.left
            if said:
                yield said
    if not unpack.is_whole:
        raise Malformed("the answer breaks off")


class _Unpack:
    """One after another, where several follow each other: servers that flush may pack each part by itself (RFC 1952,
    2.2). ``left``: of what was given last."""

    def __init__(self) -> None:
        self.left = b""
        self._unpack = zlib.decompressobj(_EITHER)

    @property
    def is_whole(self) -> bool:
        return self._unpack.eof

    def some(self, packed: bytes, at_most: int) -> bytes:
        """Raises Malformed."""
        if self._unpack.eof:
            self._unpack = zlib.decompressobj(_EITHER)
        try:
            said = self._unpack.decompress(packed, at_most)
        except zlib.error as error:
            raise Malformed(str(error)) from error
        self.left = self._unpack.unused_data or self._unpack.unconsumed_tail
        return said
