"""The database of an instance, whether its gateway runs or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from aiops.host.instance import Instance
from aiops.state.store import schema
from aiops.state.store.open import engine as opened

NAME = "aiops.db"


def path(instance: Instance) -> Path:
    """Of the one that an instance has of its own."""
    return instance.state / NAME


@contextmanager
def engine(instance: Instance, *, check: bool = True) -> Iterator[Engine]:
    """One that is empty gets its tables. Raises Precondition when there is no instance, WrongSchema when its tables
    are another aiops', unless ``check`` is false."""
    instance.require()
    made = opened(path(instance), connections=1)
    try:
        if check:
            if schema.schema_state(made) == schema.Behind(0):
                schema.migrate(made)
            schema.check(made)
        yield made
    finally:
        made.dispose()
