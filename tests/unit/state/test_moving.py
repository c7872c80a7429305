"""What is moved from one database to another, and that one which is frozen takes no changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from aiops.state import moving
from aiops.state.store import changes, freeze, open, schema, tables


def made(path: Path) -> Engine:
    engine = open.engine(path)
    schema.migrate(engine)
    return engine


def test_every_table_is_moved_or_is_of_the_database_itself() -> None:
    own = {"changes", "leases", "replicas", "published_generations", "meta"}
    assert {table.name for table in moving.MOVED} == set(tables.metadata.tables) - own


def test_a_frozen_database_takes_no_changes_until_it_thaws_by_itself(tmp_path: Path) -> None:
    engine = made(tmp_path / "one.db")
    with open.writing(engine) as connection:
        freeze.freeze(connection, 60, "a test goes on")
    with pytest.raises(freeze.Frozen, match="a test goes on"), open.writing(engine) as connection:
        changes.note(connection, "key", "a")
    with open.writing(engine) as connection:
        freeze.freeze(connection, -1, "over")
    with open.writing(engine) as connection:
        assert changes.note(connection, "key", "a") == 1


def test_who_follows_changes_sees_a_higher_number_after_the_move(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one.db"), made(tmp_path / "other.db")
    for _ in range(5):
        with open.writing(one) as connection:
            changes.note(connection, "key", "a")
    with open.reading(one) as source, open.writing(other) as target:
        assert all(each.ok for each in moving.bring(source, target, "here"))
        moving.land(source, target, "here")
        assert changes.newest(target) > 5
        assert moving.has_come(target, "here")
