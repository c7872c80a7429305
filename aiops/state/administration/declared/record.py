"""What was declared last, in a row of ``meta``: written in the transaction that did it: the two agree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection, select

from aiops.state.store import writing
from aiops.state.store.tables import meta

NAME = "keys.yaml"
Columns: TypeAlias = Mapping[str, Any]
"""As the tables have them, see ``rows.written``."""


@dataclass(frozen=True)
class Managed:
    """``id``: of the row. ``before``: what it was before it was declared; None for one that was made."""

    id: str
    before: Columns | None


@dataclass(frozen=True)
class Undo:
    """``values``: what the columns held that were changed; None: the row was made."""

    kind: str
    id: str
    values: Columns | None


@dataclass(frozen=True)
class Record:
    """``change``: what it was done for, in the words of who did it; None when that was taken back. ``managed`` by
    ``kind/name``; ``previous``: before that."""

    change: str | None = None
    managed: Mapping[str, Managed] = field(default_factory=dict)
    previous: Mapping[str, Managed] = field(default_factory=dict)
    undo: tuple[Undo, ...] = ()


def read(connection: Connection) -> Record:
    text = connection.scalar(select(meta.c.value).where(meta.c.name == NAME))
    if not text:
        return Record()
    found = json.loads(text)
    return Record(
        found.get("change"),
        {place: Managed(**each) for place, each in found["managed"].items()},
        {place: Managed(**each) for place, each in found["previous"].items()},
        tuple(Undo(**each) for each in found["undo"]),
    )


def write(connection: Connection, record: Record) -> None:
    value = json.dumps(asdict(record))
    statement = writing.insert(connection, meta).values(name=NAME, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
