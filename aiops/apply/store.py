"""Generations on disk: numbered, immutable, newest last.

state/generations/000007/sources/   what the operator had written
state/generations/000007/release/   what was rendered from it
state/generations/000007/manifest.json   who, why, when, from what
state/generations/000007/outcome.json    how it ended; written once
state/generations/000007/unproved.json   what of it nobody has seen answer, as far as anything
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiops.errors import UsageError
from aiops.gateway.shared import pointer
from aiops.host import files
from aiops.spec.sources import Sources

if TYPE_CHECKING:
    from aiops.spec.routes.routes import RouteTable
    from aiops.spec.routes.summary import Summary
    from aiops.verify.unproved import Unproved

UNPROVED = "unproved.json"
APPLIED, REFUSED, ROLLED_BACK, INTERRUPTED = "applied", "refused", "rolled_back", "interrupted"


@dataclass(frozen=True)
class Manifest:
    """Facts of one generation, fixed when it was made. ``created`` is UTC, ISO 8601.

    ``runtime`` is what it was proved in (see ``gateway.installed``), with that ``litellm``.
    """

    generation: int
    parent: int | None
    verb: str
    reason: str
    who: str
    created: str
    fingerprint: str
    release_digest: str
    aiops_version: str
    changes: tuple[str, ...] = ()
    restores: int | None = None
    runtime: str | None = None
    litellm: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a generation ended: ``applied``, ``refused``, ``rolled_back`` or ``interrupted``."""

    outcome: str
    at: str
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class Generation:
    """One generation as it lies on disk."""

    directory: Path
    manifest: Manifest
    outcome: Outcome | None

    @property
    def number(self) -> int:
        return self.manifest.generation

    @cached_property
    def unproved(self) -> tuple[Unproved, ...]:
        """What it serves although nobody has seen it answer; `verify` takes off what it sees answer."""
        try:
            content = (self.directory / UNPROVED).read_bytes()
        except FileNotFoundError:
            return ()
        from aiops.verify.unproved import Unproved

        return tuple(map(Unproved.of, json.loads(content)))

    @property
    def applied(self) -> bool:
        return self.outcome is not None and self.outcome.outcome == APPLIED

    def sources(self) -> Sources:
        return {path.name: path.read_bytes() for path in sorted((self.directory / "sources").iterdir())}

    def release(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self.directory / "release").iterdir())}

    def routes(self) -> tuple[RouteTable, Summary]:
        from aiops.render.routes import NAME, read_routes

        return read_routes((self.directory / "release" / NAME).read_bytes())


class GenerationStore:
    def __init__(self, state: Path) -> None:
        self._state = state
        self._directory = state / "generations"

    def path(self, number: int) -> Path:
        return self._directory / f"{number:06d}"

    def numbers(self) -> list[int]:
        """All generations there are, oldest first."""
        if not self._directory.is_dir():
            return []
        return sorted(int(path.name) for path in self._directory.iterdir() if path.name.isdigit())

    def current(self) -> int | None:
        """The committed generation; None before the first."""
        directory = pointer.read(self._state)
        return int(directory.name) if directory is not None else None

    def get(self, number: int) -> Generation:
        """Raises UsageError when there is no such generation."""
        directory = self.path(number)
        try:
            data = json.loads((directory / "manifest.json").read_bytes())
        except FileNotFoundError:
            there = self.numbers()
            span = f"there are {there[0]} to {there[-1]}" if there else "there is none yet"
            raise UsageError(f"there is no generation {number}", f"{span}; `aiops history` lists them") from None
        manifest = Manifest(**{**data, "changes": tuple(data["changes"])})
        return Generation(directory, manifest, self._outcome(directory))

    def all(self) -> list[Generation]:
        return [self.get(number) for number in self.numbers()]

    def next_number(self) -> int:
        """Numbers are never used twice, not even after the newest generations were removed."""
        return max([*self.numbers(), self.current() or 0, self._highest()], default=0) + 1

    def create(self, manifest: Manifest, sources: Sources, release: Mapping[str, bytes]) -> Path:
        """Write a generation; it appears whole or not at all. Raises OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        contents = {f"sources/{name}": content for name, content in sources.items()}
        contents |= {f"release/{name}": content for name, content in release.items()}
        contents["manifest.json"] = _json(asdict(manifest))
        directory = self.path(manifest.generation)
        files.write_tree(directory, contents, mode=0o444)
        return directory

    def leave_unproved(self, number: int, unproved: Sequence[Unproved]) -> None:
        """Record what of a generation was not proved; again when that has become less. Raises OSError."""
        path = self.path(number) / UNPROVED
        if unproved:
            files.write(path, _json([each.to_json() for each in unproved]), 0o444)
        else:
            path.unlink(missing_ok=True)

    def finish(self, number: int, outcome: Outcome) -> None:
        """Record how it ended, once. Raises OSError."""
        path = self.path(number) / "outcome.json"
        if path.parent.is_dir() and not path.exists():
            files.write(path, _json(asdict(outcome)), 0o444)

    def before(self, number: int) -> int | None:
        """The generation that served before ``number`` did, as far as it is still there."""
        applied = [other for other in self.numbers() if other < number and self.get(other).applied]
        return applied[-1] if applied else None

    def before_current(self) -> int | None:
        """Where a rollback without a number goes. After a rollback that is further back, not to what was undone."""
        current = self.current()
        seen: set[int] = set()
        while current is not None and current not in seen:
            seen.add(current)
            restores = self.get(current).manifest.restores
            if restores is None or restores not in self.numbers():
                break
            current = restores
        return self.before(current) if current is not None else None

    def prune(self, keep: int) -> list[int]:
        """Remove the oldest beyond the ``keep`` that served, and beyond as many that never did; never the current one
        or the one before it. Returns what went."""
        current = self.current()
        safe = {current, self.before_current()}
        served: list[int] = []
        tried: list[int] = []
        for number in self.numbers():
            outcome = self._outcome(self.path(number))
            (served if outcome is not None and outcome.outcome == APPLIED else tried).append(number)
        doomed = [number for number in sorted((*served[:-keep], *tried[:-keep])) if number not in safe]
        for number in doomed:
            files.remove_tree(self.path(number))
        return doomed

    def remember_number(self, number: int) -> None:
        """So that a number stays used when its generation could not be written or was pruned."""
        if number > self._highest():
            files.write(self._state / "highest", f"{number}\n".encode())

    def sweep(self) -> None:
        """Remove what an interrupted write left behind."""
        import shutil

        for leftover in self._directory.glob(".*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _highest(self) -> int:
        try:
            return int((self._state / "highest").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    @staticmethod
    def _outcome(directory: Path) -> Outcome | None:
        try:
            return Outcome(**json.loads((directory / "outcome.json").read_bytes()))
        except FileNotFoundError:
            return None


def _json(data: Mapping[str, Any] | Sequence[Any]) -> bytes:
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()
