"""The same fixtures as in tests/distributed, on SQLite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aiops.state.store import open, schema


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """Of a database without tables: a path, or a URL."""
    return tmp_path / "aiops.db"


@pytest.fixture
def empty(where: Path) -> Iterator[Engine]:
    """On a database without tables."""
    made = open.engine(where)
    yield made
    made.dispose()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that has the tables, to be copied."""
    path = tmp_path_factory.mktemp("store") / "aiops.db"
    made = open.engine(path)
    schema.migrate(made)
    made.dispose()
    return path


@pytest.fixture
def engine(migrated: Path, where: Path, empty: Engine) -> Engine:
    """On a database that has the tables."""
    shutil.copyfile(migrated, where)
    return empty
