"""The same fixtures as in tests/distributed, on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aiops.state.store import open, schema


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Engine]:
    """On a database without tables."""
    made = open.engine(tmp_path / "aiops.db")
    yield made
    made.dispose()


@pytest.fixture
def engine(empty: Engine) -> Engine:
    """On a database that has the tables."""
    schema.migrate(empty)
    return empty
