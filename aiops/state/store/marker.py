"""That SQLite's file was there, noted beside it in ``had-aiops.db``: one that is missed is to be put back, and not
made anew without any key."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from aiops.errors import Precondition


class Missed(Precondition):
    """There is no database where there was one."""

    name = "database_missing"


def marker(database: Path) -> Path:
    """Not named like the database, with which it would be moved away."""
    return database.with_name(f"had-{database.name}")


def note(database: Path) -> None:
    """It has tables. What a disk does not take now is noted another time."""
    with suppress(OSError):
        if not marker(database).exists():
            marker(database).touch(0o600)


def forget(database: Path) -> None:
    """The next one may be made. Raises OSError."""
    marker(database).unlink(missing_ok=True)


def require_none(database: Path) -> None:
    """Before an empty one is made, or taken for a new one. Raises Missed."""
    if marker(database).exists():
        raise Missed(
            f"the database {database} is not there, or is empty, and there was one",
            "put a copy back: `aiops down`, copy it there, `aiops up`; without a copy,"
            f" `rm {marker(database)}`: then it begins with an empty one, and all keys are to be made anew",
        )
