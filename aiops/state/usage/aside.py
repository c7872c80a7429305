"""Records that the ledger could not take: kept beside the spools, one in a line of JSON, until it can.

    <state>/spool/set-aside.jsonl

What a database refuses today it may take tomorrow: a later aiops writes the value otherwise, a partition is there, or
somebody has put the line right by hand.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from aiops.state.usage.record import Usage

NAME: Final = "set-aside.jsonl"
DIRECTORY: Final = "spool"


@dataclass(frozen=True)
class Line:
    """``usage`` None: it is no record, see ``text``."""

    text: str
    usage: Usage | None


def path(state: Path) -> Path:
    return state / DIRECTORY / NAME


def put(state: Path, usage: Usage) -> Path:
    """Keep one more. Where it is. Raises OSError."""
    path(state).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(path(state), [json.dumps(asdict(usage), default=str)], os.O_APPEND)
    return path(state)


def count(state: Path) -> int:
    """How many there are; 0 also when that cannot be read."""
    try:
        return sum(bool(line.strip()) for line in path(state).read_bytes().splitlines())
    except OSError:
        return 0


def read(state: Path) -> list[Line]:
    """All there are. Raises OSError."""
    try:
        text = path(state).read_text("utf-8", "surrogateescape")
    except FileNotFoundError:
        return []
    return [Line(line, _record(line)) for line in text.split("\n") if line.strip()]


def keep(state: Path, lines: Sequence[Line]) -> None:
    """These and no others, in one step. Raises OSError."""
    if not lines:
        path(state).unlink(missing_ok=True)
        return
    draft = path(state).with_suffix(".new")
    _write(draft, [line.text for line in lines], os.O_TRUNC)
    draft.replace(path(state))


def _write(to: Path, lines: Sequence[str], how: int) -> None:
    descriptor = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in lines)


def _record(line: str) -> Usage | None:
    """Fields of a later aiops are left out, as in a spool."""
    try:
        said = json.loads(line)
        known = {name: said[name] for name in Usage.__dataclass_fields__ if name in said}
        return Usage(**{**known, "tags": tuple(known.get("tags", ()))})
    except (ValueError, TypeError):
        return None
