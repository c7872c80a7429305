"""What things are called in LMDB: a letter, then a name. PURE."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

METERS = (b"a", b"b", b"c", b"d")  # by their codes: requests, tokens, parallel, money
RESERVATION, OWNER = b"r", b"o"
STANDING_IN = b"y"  # when these counters last decided in the place of others
TURN = b"z"  # which of the two tables of what has ended is in use
_LONGEST = 480  # bytes; LMDB takes 511


@lru_cache(16384)  # the same few are asked for on and on
def meter_key(code: int, name: str) -> bytes:
    return _key(METERS[code], name)


def reservation_key(id: str) -> bytes:
    return _key(RESERVATION, id)


def owner_key(owner: str) -> bytes:
    return _key(OWNER, owner)


def _key(letter: bytes, name: str) -> bytes:
    key = letter + name.encode()
    return key if len(key) <= _LONGEST else letter + b"#" + blake2b(key, digest_size=32).digest()
