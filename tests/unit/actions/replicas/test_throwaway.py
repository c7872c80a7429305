"""The keys of a run: of nobody, for a quarter of an hour, and gone after it, those of a run that was killed too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from aiops.actions.instance.database import engine
from aiops.actions.replicas.throwaway import Throwaway
from aiops.host.instance import Instance, locate
from aiops.host.setup import make_instance
from aiops.state.administration import find
from aiops.state.store import clock, tables
from aiops.state.store.open import reading, writing
from aiops.state.store.rows import Key


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    make_instance(locate(tmp_path), profile=None, supervisor="process", port=4711)
    return locate(tmp_path)


@pytest.fixture
def database(instance: Instance) -> Iterator[Engine]:
    with engine(instance) as made:
        yield made


def row(database: Engine, alias: str) -> Key:
    with reading(database) as connection:
        return find.key(connection, alias)


def test_they_end_by_themselves_and_belong_to_nobody(instance: Instance, database: Engine) -> None:
    run = Throwaway(instance, database, 1.0)
    run.model = "alpha"
    made = row(database, run.make("known", rpm_limit=6).alias)
    assert made.alias is not None and made.alias.startswith("aiops-verify-") and made.alias.endswith("-known")
    assert (made.team_id, made.user_id, made.models, made.rpm_limit) == (None, None, ("alpha",), 6)
    assert made.tags == ("aiops-verify",)
    assert 0 < (made.expires_at or 0) - made.created_at <= 15 * 60 * clock.SECOND


def test_those_of_a_run_that_was_killed_go_when_they_have_expired_and_those_of_one_that_goes_on_stay(
    instance: Instance, database: Engine
) -> None:
    killed, other, mine = (Throwaway(instance, database, 1.0) for _ in range(3))
    left, theirs, own = (run.make("known").alias for run in (killed, other, mine))
    with writing(database) as connection:
        connection.execute(update(tables.keys).where(tables.keys.c.alias == left).values(expires_at=1))
    assert sorted(mine.remove()) == sorted([left, own])
    assert row(database, theirs).revoked_at is None
    assert mine.remove() == []
