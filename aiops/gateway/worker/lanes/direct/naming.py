"""The model of an answer, under the name that its client knows."""

from __future__ import annotations

import re

import orjson

from aiops.gateway.worker.lanes.direct.keys import keys_at_the_top

_MODEL = re.compile(rb'"model"\s*+:\s*+"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_KEY = b'"model"'
LONGEST = 1024  # bytes of a name


class Naming:
    """Of one answer. What its provider calls the model is seen once, in the first piece that says it; from there on
    these very bytes are replaced, and nothing is where it says the right name by itself."""

    __slots__ = ("_is_right", "_name", "_needle", "_rest")

    def __init__(self, name: str) -> None:
        self._name = b'"model":' + orjson.dumps(name)
        self._needle = b""
        self._is_right = False
        self._rest = b""

    def look(self, piece: bytes) -> bool:
        """Whether it says a name, which is the one that is replaced from then on."""
        found = _MODEL.search(piece) if _KEY in piece else None
        if found is None:
            return False
        self._needle = (_own(piece) if piece.count(_KEY) > 1 else b"") or found[0]
        self._is_right = self._needle.replace(b" ", b"") == self._name.replace(b" ", b"")
        return True

    def put_right(self, piece: bytes) -> bytes:
        """A piece of the answer, whose text may end anywhere. A name that is cut in two comes with the next piece."""
        if self._rest:
            piece, self._rest = self._rest + piece, b""
        if not self._needle and not self.look(piece):
            return piece if piece.endswith(b"\n") else self._without_its_beginning(piece)
        if self._is_right:
            return piece
        if not piece.endswith(b"\n"):
            behind = piece.rfind(self._needle) + len(self._needle) if self._needle in piece else 0
            piece = self._kept(piece, _cut(piece, self._needle, behind))
        return piece.replace(self._needle, self._name)

    def end(self) -> bytes:
        """What was kept of the last piece."""
        rest, self._rest = self._rest, b""
        return rest

    def _without_its_beginning(self, piece: bytes) -> bytes:
        at = piece.rfind(_KEY)
        if at < 0:
            return self._kept(piece, _cut(piece, _KEY))
        return self._kept(piece, len(piece) - at) if len(piece) - at < LONGEST else piece

    def _kept(self, piece: bytes, last: int) -> bytes:
        if not last:
            return piece
        self._rest = piece[-last:]
        return piece[:-last]


def _own(piece: bytes) -> bytes:
    """Where several models are named in a piece, that of the answer; empty when no event of it is whole. Responses say
    again what their client wrote, its metadata for one, before they say their model."""
    for line in piece.splitlines():
        if not line.startswith(b"data:") or _KEY not in line:
            continue
        try:
            said = orjson.loads(line[5:])
        except orjson.JSONDecodeError:
            continue
        for holder in (said, said.get("response"), said.get("message")) if isinstance(said, dict) else ():
            name = holder.get("model") if isinstance(holder, dict) else None
            if isinstance(name, str):
                found = (each[0] for each in _MODEL.finditer(line))
                return next((each for each in found if orjson.loads(b"{" + each + b"}")["model"] == name), b"")
    return b""


def _cut(piece: bytes, needle: bytes, behind: int = 0) -> int:
    """How many bytes at the end of a piece, ``behind`` some, may be the beginning of ``needle``."""
    at = piece.find(needle[:1], max(behind, len(piece) - len(needle) + 1))
    while at >= 0:
        if needle.startswith(piece[at:]):
            return len(piece) - at
        at = piece.find(needle[:1], at + 1)
    return 0


def whole(content: bytes, said: object, name: str) -> bytes:
    """An answer in one piece; ``said``: the same, read."""
    given = said.get("model") if isinstance(said, dict) else None
    if not isinstance(given, str) or given == name:
        return content
    found = list(_MODEL.finditer(content))
    if len(found) > 1:  # of what the client wrote some is said again, its metadata for one, and may have a model too
        top = frozenset(key.start() for key in keys_at_the_top(content))
        found = [each for each in found if each.start() in top]
    if not found:
        return content
    return content[: found[0].start()] + b'"model":' + orjson.dumps(name) + content[found[0].end() :]
