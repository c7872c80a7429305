"""Rows that a change wrote, and who may take them back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from aiops.actions.instance import tenancy
from aiops.actions.instance.tenancy import Rows, declaration, secret_file, take_back_rows
from aiops.host.instance import Instance
from aiops.spec.load.tenancy import read
from aiops.state.store import open, schema


def instance(home: Path) -> Instance:
    made = Instance(None, *(home / name for name in ("config", "state", "run", "logs", "secrets")))
    made.state.mkdir(parents=True)
    return made


def test_a_gateway_does_not_take_back_what_another_one_did_for_a_generation_of_the_same_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = open.engine(tmp_path / "shared.db")
    schema.migrate(shared)

    @contextmanager
    def engine(_: Instance) -> Iterator[Engine]:
        yield shared

    monkeypatch.setattr(tenancy, "engine", engine)
    one, other = instance(tmp_path / "one"), instance(tmp_path / "other")
    Rows(one, declaration(read(b"keys: {ci: {rpm_limit: 60}}")), ()).write(2)
    for who, taken_back in ((other, False), (one, True)):
        take_back_rows(who, 2, ["ci"])
        with open.reading(shared) as connection:
            revoked = connection.exec_driver_sql("SELECT revoked_at IS NOT NULL FROM keys").scalar()
        assert bool(revoked) is taken_back
        assert secret_file(one, "ci").exists() is not taken_back
    shared.dispose()
