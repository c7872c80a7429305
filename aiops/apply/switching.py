"""The record of a switch between two providers that is under way: what to go back to, should it not come to its end."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from aiops.host import files
from aiops.spec.sources import FILES, Sources

DIRECTORY = "switch"
FACTS = "switch.json"


@dataclass(frozen=True)
class Record:
    """``old_ran`` and ``new_ran``: whether their units ran when it began. ``since`` is UTC, ISO 8601."""

    old: str
    new: str
    who: str
    since: str
    old_ran: bool
    new_ran: bool

    def __str__(self) -> str:
        return f"the switch from {self.old} to {self.new} by {self.who} (since {self.since}) did not come to its end"


def begin(state: Path, record: Record, sources: Sources) -> None:
    """Remember it, with the operator's files as they are. Raises OSError."""
    files.remove_tree(state / DIRECTORY)
    facts = json.dumps(asdict(record), indent=1).encode()
    # The operator's files may name hosts and people: what is kept of them is nobody else's to read.
    files.write_tree(state / DIRECTORY, {FACTS: facts, **sources}, mode=0o600)


def read(state: Path) -> tuple[Record, Sources] | None:
    """The switch that was begun and neither finished nor taken back; None when there is none."""
    directory = state / DIRECTORY
    try:
        record = Record(**json.loads((directory / FACTS).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return record, {name: (directory / name).read_bytes() for name in FILES if (directory / name).exists()}


def end(state: Path) -> None:
    """It came to an end, either way."""
    files.remove_tree(state / DIRECTORY)
