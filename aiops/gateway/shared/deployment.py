"""What several gateways share, as the release of a generation says it. Standalone generations say nothing.

Shared with the command line: it imports nothing of aiops but its neighbours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiops.gateway.shared import pointer

REDIS_VARIABLE = "AIOPS_REDIS_URL"  # of a worker, which is given its secrets by the master


@dataclass(frozen=True)
class Deployment:
    """The URLs hold passwords, so files are named: in ``secrets/`` unless absolute. ``replica``: how this gateway is
    called; None: by its machine and port. ``profile`` decides what happens while the database is away."""

    database_url_file: str
    redis_url_file: str
    replica: str | None
    profile: str

    @property
    def closed(self) -> bool:
        """Whether a key is refused that nobody can vouch for now, although it was known a moment ago."""
        return self.profile == "prod"

    def database_url(self, secrets: Path) -> str:
        """Raises OSError."""
        return url(self.database_url_file, secrets)

    def redis_url(self, secrets: Path) -> str:
        """Raises OSError."""
        return url(self.redis_url_file, secrets)


def url(name: str, secrets: Path) -> str:
    """Raises OSError."""
    path = Path(os.path.expanduser(name))  # noqa: PTH111
    return (path if path.is_absolute() else secrets / path).read_text().strip()


def parse(data: Mapping[str, Any]) -> Deployment | None:
    """Of what ``gateway.json`` holds. Raises KeyError."""
    given = data.get("deployment")
    if given is None:
        return None
    return Deployment(given["database_url_file"], given["redis_url_file"], given["replica"], given["profile"])


def of(directory: Path) -> Deployment | None:
    """Of a generation. Raises OSError or ValueError when it is damaged."""
    try:
        return parse(json.loads((directory / "release" / "gateway.json").read_bytes()))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{directory} is damaged: {error}") from error


def current(state: Path) -> Deployment | None:
    """Of the generation that was committed last. Raises OSError or ValueError when it is damaged."""
    directory = pointer.read(state)
    return of(directory) if directory is not None else None


class Watch:
    """``changed`` says whether another deployment, or another URL, was committed since. For who looks all the time."""

    def __init__(self, state: Path, secrets: Path) -> None:
        self._state, self._secrets = state, secrets
        self._seen: object = None
        self._what: tuple[Deployment | None, tuple[str, ...]] = None, ()
        self._what = self._read()

    def changed(self) -> bool:
        """Once for each change. Does not raise: what is damaged is as it was."""
        before, self._what = self._what, self._read()
        return self._what != before

    def _read(self) -> tuple[Deployment | None, tuple[str, ...]]:
        try:
            link = os.readlink(self._state / pointer.NAME)  # noqa: PTH115
        except OSError:
            link = ""
        seen = link, *(_changed_at(self._secrets, name) for name in _files(self._what[0]))
        if seen == self._seen:
            return self._what
        try:
            found = current(self._state)
            urls = tuple([url(name, self._secrets) for name in _files(found)])
        except (OSError, ValueError):
            return self._what
        self._seen = link, *(_changed_at(self._secrets, name) for name in _files(found))
        return found, urls


def _files(of: Deployment | None) -> tuple[str, ...]:
    return (of.database_url_file, of.redis_url_file) if of is not None else ()


def _changed_at(secrets: Path, name: str) -> int:
    path = Path(os.path.expanduser(name))  # noqa: PTH111
    try:
        return (path if path.is_absolute() else secrets / path).stat().st_mtime_ns
    except OSError:
        return 0
