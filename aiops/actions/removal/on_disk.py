"""What an instance has on disk, by name: a directory that is shared with other things is not emptied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from aiops.actions.instance.drift import generated_is_edited
from aiops.actions.instance.snapshot import Snapshot
from aiops.actions.removal.thing import Found, Thing
from aiops.errors import InvalidState
from aiops.gateway.shared import accounting, tallies
from aiops.host import files
from aiops.host.instance import GENERATED, Instance
from aiops.spec.sources import FILES, SETTINGS

LOCK = "lock"
STATE = (
    "generations",
    "current",
    "highest",
    "same",
    "journal",
    "incidents",
    "runtimes",
    "edits",
    "import-report.txt",
    "had-aiops.db",
    "aiops.db*",
    "counters",
    "metrics",
    "counters-standing-in",
    "spool",
    "replica",
    accounting.LOCK,
)
RUN = ("*.sock", f"{accounting.SOCKET}.*", "*.http", "*.fd", f"*{tallies.SUFFIX}*", "master.pid", "successor.json")
LOGS = ("gateway.log*", "audit.jsonl*")
HIDDEN = (".*.aiops-*", ".current.*")  # what a write that was killed left


def made(instance: Instance, *, purge: bool) -> Found:
    """Everything but the lock. ``purge``: what the operator wrote, too, and secrets; SETTINGS is the last to go."""
    things = [
        *_things("generations and state", instance.state, (*STATE, *HIDDEN)),
        *_things("sockets", instance.run, RUN),
        *_things("logs", instance.logs, LOGS),
    ]
    left: list[str] = []
    if purge:
        things += _things("secrets", instance.secrets, ("*",), named=True)
        written = [name for name in FILES if name != SETTINGS]
        things += _things("configuration", instance.config, (*written, f"{GENERATED}*", SETTINGS), named=True)
    else:
        rendered = () if _is_edited(instance) else (GENERATED,)
        things += _things("rendered configuration", instance.config, rendered, named=True)
        left += [
            f"{directory}: {', '.join(names)}"
            for directory in (instance.config, instance.secrets)
            if (names := [path.name for path in _inside(directory) if path.is_file() and path.name not in rendered])
        ]
        if left:
            left.append(f"(`{instance.command} uninstall --purge` takes these away, too)")
    return Found(tuple(things), tuple(left))


def finish(instance: Instance, *, purge: bool) -> list[str]:
    """The lock, which is held until now, and the directories that are empty. Returns what is in the way of others."""
    (instance.state / LOCK).unlink(missing_ok=True)
    ours = [instance.logs, instance.run, instance.state, instance.secrets, instance.config]
    for directory in (*ours, *([instance.home] if instance.home else [])):
        with suppress(OSError):
            directory.rmdir()
    emptied = ours if purge else ours[:3]  # before those that keep what was written
    return [f"{path}: not made by aiops" for each in emptied for path in _inside(each) if path not in ours]


def _things(what: str, directory: Path, patterns: tuple[str, ...], *, named: bool = False) -> Iterator[Thing]:
    """One for what is there, if anything is. ``named``: people are told each name, and agree to that."""
    paths = _matching(directory, patterns)
    if paths:
        names = f": {', '.join(path.name for path in paths)}" if named else ""
        yield Thing(f"{what} in {directory}{names}", partial(_remove, directory, patterns))


def _matching(directory: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(directory.glob(pattern))] if directory.is_dir() else []


def _remove(directory: Path, patterns: tuple[str, ...]) -> None:
    """What is there by now: a gateway that stops takes some of it along, and says so in its log."""
    for path in _matching(directory, patterns):
        with files.explained(path, "remove"):
            if path.is_dir() and not path.is_symlink():
                files.remove_tree(path)
            else:
                path.unlink(missing_ok=True)


def _inside(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _is_edited(instance: Instance) -> bool:
    """Whether somebody's work is in the rendered file."""
    try:
        return generated_is_edited(Snapshot(instance))
    except InvalidState:
        return True
