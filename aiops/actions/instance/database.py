"""The database of an instance, whether its gateway runs or not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from aiops.errors import Precondition
from aiops.gateway.shared import accounting, deployment, pointer
from aiops.gateway.shared.deployment import Deployment
from aiops.host import files
from aiops.host import master as control
from aiops.host.instance import Instance
from aiops.state.store import marker, schema
from aiops.state.store.open import engine as opened
from aiops.state.store.open import place

NAME = "aiops.db"
BEGIN_SECONDS = 5.0  # until an accountant that was started has made it


def path(instance: Instance) -> Path:
    """Of the one that an instance has of its own."""
    return instance.state / NAME


def shared(instance: Instance) -> Deployment | None:
    """What this gateway shares with others: as the committed generation says, before the first as the files say; None
    for nothing. Raises InvalidState, Precondition."""
    try:
        if pointer.read(instance.state) is not None:
            return deployment.current(instance.state)
    except (OSError, ValueError) as error:
        raise Precondition(str(error), f"`{instance.command} rollback` goes back to an older generation") from error
    from aiops.actions.instance.snapshot import Snapshot

    now = Snapshot.of(instance)
    state = now.desired
    given = state.settings.deployment
    if state.mode != "distributed" or given.database_url_file is None or given.redis_url_file is None:
        return None
    return Deployment(given.database_url_file, given.redis_url_file, given.replica, state.profile)


def where(instance: Instance) -> Path | str:
    """The path, or the URL of Postgres. Raises Precondition when the file with the URL cannot be read."""
    found = shared(instance)
    if found is None:
        return path(instance)
    file = instance.secrets / Path(found.database_url_file).expanduser()
    with files.explained(file, "read"):
        return found.database_url(instance.secrets)


def named(where: Path | str) -> str:
    """For people: without a password."""
    return str(where) if isinstance(where, Path) else f"PostgreSQL at {place(where)}"


@contextmanager
def engine(instance: Instance, *, check: bool = True) -> Iterator[Engine]:
    """One that is empty gets its tables, but for one that is shared. Raises Precondition when there is no instance, or
    no database where a gateway runs, Missed where there was one; WrongSchema when its tables are another aiops', unless
    ``check`` is false."""
    instance.require()
    found = where(instance)
    if isinstance(found, Path) and not found.exists():
        marker.require_none(found)
        _require_nobody_has_one(instance, found)
    made = opened(found, connections=1)
    try:
        if isinstance(found, Path) and schema.schema_state(made) == schema.Behind(0):
            marker.require_none(found)
            if check:
                schema.migrate(made)
        if check:
            schema.check(made)
            if isinstance(found, Path):
                marker.note(found)
        yield made
    finally:
        made.dispose()


def _require_nobody_has_one(instance: Instance, missing: Path) -> None:
    """A gateway that runs has its keys from a database: one made here would be another. Raises Precondition."""
    if not accounting.holder(instance.state):
        told = control.status(instance.run)
        if told is None or told.accountant is None:
            return
        until = time.monotonic() + BEGIN_SECONDS  # it has only begun
        while not missing.exists() and time.monotonic() < until:
            time.sleep(0.05)
    if not missing.exists():
        raise Precondition(
            f"the gateway runs, and its database {missing} is not there",
            f"to put a copy back: `{instance.command} down`, copy it there, `{instance.command} up`; without a copy,"
            " wait a few seconds until the gateway has made an empty one, and make all keys anew",
        )


def require_shared(instance: Instance) -> None:
    """That a database which is shared can be worked with: without it no key could be told from another. Raises
    Precondition."""
    if shared(instance) is not None:
        with engine(instance):
            pass
