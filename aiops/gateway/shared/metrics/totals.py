"""What all processes of a gateway have counted together, those included that have ended: no counter goes backwards.

What the dead have counted is added up in one file, ``metrics/ended.json``, by the accountant alone. It says whose
numbers are in it, so that nobody counts them twice, whenever the accountant is killed.
"""

from __future__ import annotations

import json
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiops.gateway.shared.metrics.memory import DIRECTORY, LENGTH, SUFFIX
from aiops.gateway.shared.metrics.series import Key

ENDED: Final = "ended.json"
TRIES = 10

Alive = Callable[[Path, str], bool]
"""Whether the process of this name, which counts in this file, may go on doing so."""


@dataclass
class Totals:
    counters: Counter[Key] = field(default_factory=Counter)
    gauges: Counter[Key] = field(default_factory=Counter)


def read(state: Path, alive: Alive) -> Totals:
    """May be called by anybody, at any time."""
    directory = state / DIRECTORY
    found = Totals()
    for _ in range(TRIES):
        before = _ended(directory)
        found = Totals(counters=Counter(before.counters))
        for path in _files(directory):
            if path.name not in before.names:
                _add(found, path, alive)
        if _ended(directory) == before:  # else some of them ended meanwhile, and may be missing, or here twice
            break
    return found


def fold(state: Path, alive: Alive) -> None:
    """Take over what the dead have counted. For the accountant, of which there is one. Raises OSError."""
    directory = state / DIRECTORY
    before = _ended(directory)
    dead = [path for path in _files(directory) if not alive(path, _owner(path))]
    new = [path for path in dead if path.name not in before.names]
    if new:
        found = Totals(counters=Counter(before.counters))
        for path in new:
            _add(found, path, lambda *_: False)
        _write(directory, _Ended(frozenset(path.name for path in dead), found.counters))
    for path in dead:
        path.unlink(missing_ok=True)


@dataclass
class _Ended:
    names: frozenset[str] = frozenset()
    counters: Counter[Key] = field(default_factory=Counter)


def _ended(directory: Path) -> _Ended:
    try:
        said = json.loads((directory / ENDED).read_bytes())
        return _Ended(frozenset(said["names"]), Counter({tuple(key): int(number) for key, number in said["counters"]}))
    except (OSError, ValueError, KeyError, TypeError):
        return _Ended()


def _write(directory: Path, ended: _Ended) -> None:
    draft = directory / f"{ENDED}.new"
    draft.touch(0o600)
    counters = [[list(key), number] for key, number in ended.counters.items() if number]
    draft.write_text(json.dumps({"names": sorted(ended.names), "counters": counters}))
    draft.replace(directory / ENDED)


def _files(directory: Path) -> list[Path]:
    found = sorted(directory.glob(f"*{SUFFIX}"))
    return [path for path in found if all(word.isdigit() for word in re.split(r"[.@]", _owner(path)))]


def _owner(path: Path) -> str:
    return ".".join(path.name.split(".")[:2])


def _add(found: Totals, path: Path, alive: Alive) -> None:
    with suppress(OSError, ValueError, KeyError, struct.error):  # gone meanwhile, or not whole yet
        lives = alive(path, _owner(path))
        for key, number, is_gauge in _numbers(path.read_bytes()):
            if not is_gauge:
                found.counters[key] += number
            elif lives:
                found.gauges[key] += number


def _numbers(data: bytes) -> Iterator[tuple[Key, int, bool]]:
    (length,) = LENGTH.unpack_from(data)
    header = json.loads(data[LENGTH.size : LENGTH.size + length])
    gauges = set(header["gauges"])
    numbers = struct.iter_unpack("<q", data[LENGTH.size + length :])
    for key, (number,) in zip(header["series"], numbers, strict=True):
        yield tuple(key), number, key[0] in gauges
