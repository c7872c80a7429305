"""Which replicas are there to be asked, and where: one that cannot be asked is said, and never left out silently."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, update

from aiops.actions.replicas.listed import listed
from aiops.errors import UsageError
from aiops.state.store import clock, open, replicas, schema, tables
from aiops.state.store.replicas import Replica


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open.engine(tmp_path / "aiops.db")
    schema.migrate(made)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with open.writing(engine) as made:
        yield made


def there(connection: Connection, id: str, host: str, url: str, ago: int = 0) -> None:
    row = Replica(id=id, host=host, url=url, generation=1, applied_seq=1, workers={"1": {}, "2": {}})
    replicas.seen(connection, row)
    seen = clock.now() - ago * clock.SECOND
    connection.execute(update(tables.replicas).where(tables.replicas.c.id == id).values(seen_at=seen))


@pytest.mark.parametrize(
    ("id", "host", "url", "address"),
    [
        ("other", "box-2", "http://10.0.0.2:4000", "http://10.0.0.2:4000"),
        ("other", "box-2", "http://0.0.0.0:4000", "http://box-2:4000"),
        ("other", "node:4000", "http://0.0.0.0:4000", "http://node:4000"),
        ("other", "box-2", "http://[::]:4000", "http://box-2:4000"),
        ("own", "box-1", "http://0.0.0.0:4000", "http://127.0.0.1:4000"),
        ("own", "box-1", "http://[::]:4000", "http://[::1]:4000"),
        ("other", "box-2", "http://127.0.0.1:4000", "http://127.0.0.1:4000"),  # it says who answers there
    ],
)
def test_a_replica_is_asked_where_it_alone_is_reached(
    id: str, host: str, url: str, address: str, connection: Connection
) -> None:
    there(connection, id, host, url)
    assert [(each.url, each.workers) for each in listed(connection, "own", {}).replicas] == [(address, 2)]


def test_another_address_can_be_given_but_to_no_replica_that_is_not_there(connection: Connection) -> None:
    there(connection, "other", "box-2", "http://127.0.0.1:4000")
    given = listed(connection, "own", {"box-2": "http://10.0.0.2:4000"})
    assert [each.url for each in given.replicas] == ["http://10.0.0.2:4000"]
    with pytest.raises(UsageError, match="--at box-3: there is no such replica") as error:
        listed(connection, "own", {"box-3": "http://10.0.0.3:4000"})
    assert error.value.hint == "they are called: box-2"


def test_one_that_says_nothing_more_is_missed_until_nobody_can_expect_it_any_more(connection: Connection) -> None:
    there(connection, "a", "box-1", "http://10.0.0.1:4000")
    there(connection, "b", "box-2", "http://10.0.0.2:4000", ago=60)
    there(connection, "c", "box-3", "http://10.0.0.3:4000", ago=7200)
    there(connection, "d", "box-1", "http://10.0.0.1:4000", ago=90)  # its home was removed and made anew
    found = listed(connection, "own", {})
    assert [each.id for each in found.replicas] == ["a"]
    missed = {(check.id.removeprefix("replica:"), check.status): check.detail for check in found.missed}
    assert "no sign of life for 1 min (it was at http://10.0.0.2:4000)" in missed["box-2", "fail"]
    assert missed["box-3", "skip"] == "no sign of life for 2 h: it is not asked"
    assert "box-1-a is in its place" in missed["box-1-d", "skip"]
