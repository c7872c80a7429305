"""A reservation as it is kept: until when, by whom, and what is to be given back where. The same bytes in LMDB and in
Redis, see ``common.lua``."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiops.state.counters.kinds import CODES, Counter

_HEAD = struct.Struct("<qH")  # deadline, how many are held
_HELD = struct.Struct("<BBqq")
SHADOW = 1


class Held(NamedTuple):
    """``amount``: to be given back; ``limit`` and ``shadow``: of the meter when it was asked."""

    code: int
    shadow: int
    amount: int
    limit: int
    name: str


@dataclass(frozen=True, slots=True)
class Reservation:
    """``deadline``: microseconds since 1970."""

    deadline: int
    owner: str
    held: tuple[Held, ...]


def packed(deadline: int, owner: str, counters: Sequence[Counter], amounts: Sequence[int]) -> bytes:
    parts, names = [b""], [owner]
    for counter, amount in zip(counters, amounts, strict=True):
        meter = counter.meter
        if meter.what != "requests":  # stay counted whatever comes of them
            parts.append(_HELD.pack(CODES[meter.what], SHADOW if meter.shadow else 0, amount, meter.limit))
            names.append(meter.name)
    parts[0] = _HEAD.pack(deadline, len(names) - 1)
    return b"".join(parts) + "\0".join(names).encode()


def owner_and_deadline(raw: bytes) -> tuple[str, int]:
    deadline, number = _HEAD.unpack_from(raw)
    return raw[_HEAD.size + number * _HELD.size :].split(b"\0", 1)[0].decode(), deadline


def of_owner(raw: bytes, owner: str) -> bytes:
    """The same, by somebody else."""
    at = _HEAD.size + _HEAD.unpack_from(raw)[1] * _HELD.size
    _, *names = raw[at:].split(b"\0")
    return raw[:at] + b"\0".join([owner.encode(), *names])


def held(raw: bytes) -> list[tuple[int, int, int, int, str]]:
    """The fields of each ``Held``."""
    end = _HEAD.size + _HEAD.unpack_from(raw)[1] * _HELD.size
    names = raw[end:].decode().split("\0")
    return [(*each, name) for each, name in zip(_HELD.iter_unpack(raw[_HEAD.size : end]), names[1:], strict=True)]


def unpacked(raw: bytes) -> Reservation:
    deadline, _ = _HEAD.unpack_from(raw)
    return Reservation(deadline, owner_and_deadline(raw)[0], tuple(map(Held._make, held(raw))))
