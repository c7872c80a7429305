"""What is brought into a database that others write to meanwhile is counted without theirs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from aiops.state import moving
from aiops.state.administration import keys
from aiops.state.administration.journal import Actor
from aiops.state.administration.requests import KeyRequest
from aiops.state.store import open, schema, usage
from tests.unit.state.usage.test_spool import usage as request

SOMEBODY = Actor("somebody", "a test", "")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Engine]:
    made = open.engine(tmp_path / "one.db")
    schema.migrate(made)
    yield made
    made.dispose()


def use(engine: Engine, name: str) -> None:
    record = replace(request(name), key=name)
    open.transact(engine, lambda connection: usage.ingest(connection, [record]))


def create(engine: Engine, alias: str) -> None:
    open.transact(engine, lambda connection: keys.create(connection, KeyRequest(alias=alias), SOMEBODY))


def test_lines_of_the_audit_and_requests_of_others_are_no_difference(source: Engine, database: str) -> None:
    create(source, "mine")
    use(source, "one")
    target, others = open.engine(database), open.engine(database)
    waiting: list[threading.Thread] = []
    between = 0

    @event.listens_for(target, "after_cursor_execute")
    def meanwhile(_: Any, __: Any, statement: str, *___: Any) -> None:
        nonlocal between
        if "INSERT INTO audit" in statement:
            between += 1
            create(others, f"theirs-{between}")
        elif "INSERT INTO usage_daily " in statement:
            between += 1
            waiting.append(threading.Thread(target=use, args=(others, f"theirs-{between}")))
            waiting[-1].start()
            waiting[-1].join(0.5)  # until this is over it has to wait

    try:
        with open.reading(source) as here, open.writing(target) as there:
            brought = [*moving.bring(here, there, "here"), *moving.land(here, there, "here")]
        for each in waiting:
            each.join(10)
        assert all(each.ok for each in brought)
        assert between == 2
        with open.reading(target) as connection:
            assert moving.counts(connection)["usage"][0] == 2
            assert moving.counts(connection)["audit"][0] == 2
    finally:
        target.dispose()
        others.dispose()


def test_a_name_that_was_given_elsewhere_meanwhile_is_refused_also_to_one_who_comes_again(
    source: Engine, database: str
) -> None:
    """By name, and not by what the database says of an index."""
    create(source, "mine")
    target = open.engine(database)
    try:
        with open.reading(source) as here, open.writing(target) as there:
            moving.bring(here, there, "here")
            moving.land(here, there, "here")
        create(source, "later")
        create(target, "later")
        with (
            open.reading(source) as here,
            open.writing(target) as there,
            pytest.raises(moving.Conflict) as refused,
        ):
            moving.bring(here, there, "here")
        assert refused.value.message == "the key of the name `later` is there already"
    finally:
        target.dispose()
