"""The tables and their history: up, down, by two at once, interrupted, and of another aiops."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, update

from aiops.state.store import clock, keys, open, schema, teams, usage
from aiops.state.store.open import reading
from aiops.state.store.open import writing as transaction
from aiops.state.store.rows import Key, Member, Team
from aiops.state.store.tables import meta, metadata
from tests.kit.warm.product import ROOT


def made(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def fake_revision(engine: Engine, revision: int, readable_since: int) -> None:
    """As a newer aiops would leave it."""
    with transaction(engine) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision:04d}'")
        connection.execute(update(meta).where(meta.c.name == "readable_since").values(value=str(readable_since)))


def test_an_empty_database_is_brought_to_what_the_tables_are(empty: Engine) -> None:
    assert schema.schema_state(empty) == schema.Behind(0)
    assert schema.migrate(empty) == schema.Behind(0)
    assert schema.schema_state(empty) == schema.Ok()
    assert schema.migrate(empty) == schema.Ok()
    with reading(empty) as connection:

        def ours(_thing: object, name: str | None, kind: str, reflected: bool, _other: object) -> bool:
            return not (kind == "table" and reflected and (name or "").startswith("usage_rest"))

        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        differences = compare_metadata(context, metadata)
    assert differences == []


def test_the_history_is_one_line_of_numbers() -> None:
    scripts = ScriptDirectory(str(ROOT / "aiops/state/store/migrations"))
    revisions = [each.revision for each in scripts.walk_revisions()]
    assert revisions == [f"{number:04d}" for number in range(schema.OURS, 0, -1)]


def test_down_and_up_again_with_rows_in_all_tables(empty: Engine) -> None:
    schema.migrate(empty)
    with transaction(empty) as connection:
        usage.make_partitions(connection, 1)
        keys.add(connection, Key(id="k", name="sk-...abcd"), "h")
        teams.add(connection, Team(id="t"))
        teams.add_member(connection, Member(team_id="t", user_id="u"))
    for target in range(schema.OURS - 1, -1, -1):
        schema.migrate(empty, target)
        assert schema.schema_state(empty) == schema.Behind(target)
    assert made(empty) == {"alembic_version"}
    schema.migrate(empty)
    assert schema.schema_state(empty) == schema.Ok()


def test_two_migrations_at_once_are_one(where: Path | str) -> None:
    engines = [open.engine(where) for _ in range(4)]
    found: list[object] = []
    start = threading.Barrier(len(engines))

    def migrate(engine: Engine) -> None:
        start.wait()
        try:
            found.append(schema.migrate(engine))
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=migrate, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    assert sorted(map(str, found)) == ["Behind(revision=0)", "Ok()", "Ok()", "Ok()"]


KILLED_AFTER = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from aiops.state.store import open, schema
where, after = sys.argv[1], int(sys.argv[2])
engine = open.engine(where if "://" in where else Path(where))
left = [after]
@event.listens_for(engine, "after_cursor_execute")
def executed(connection, cursor, statement, *rest):
    if statement.lstrip().startswith(("CREATE", "INSERT")):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
schema.migrate(engine)
"""


@pytest.mark.parametrize("after", [2, 20, 40])
def test_a_migration_that_is_killed_half_way_left_nothing_and_is_run_again(
    where: Path | str, empty: Engine, after: int
) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_AFTER, str(where), str(after)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert made(empty) == set()
    assert schema.migrate(empty) == schema.Behind(0)
    assert schema.schema_state(empty) == schema.Ok()


def test_a_migration_that_fails_half_way_left_nothing(empty: Engine) -> None:
    with transaction(empty) as connection:
        connection.exec_driver_sql("CREATE TABLE users (mine TEXT)")
    with pytest.raises(Exception, match="users"):
        schema.migrate(empty)
    assert made(empty) == {"users"}
    with transaction(empty) as connection:
        connection.exec_driver_sql("DROP TABLE users")
    schema.migrate(empty)
    assert schema.schema_state(empty) == schema.Ok()


def test_a_database_without_tables_is_refused_with_what_to_type(empty: Engine) -> None:
    with pytest.raises(schema.WrongSchema, match="has no tables of aiops") as refused:
        schema.check(empty)
    assert "`aiops database migrate`" in refused.value.hint


def test_an_older_database_is_refused_with_what_to_type(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "OURS", schema.OURS + 1)
    with pytest.raises(schema.WrongSchema, match=r"is of schema 1, and this aiops needs schema 2") as refused:
        schema.check(engine)
    assert "`aiops database migrate`" in refused.value.hint


def test_a_newer_database_is_used_when_it_was_made_for_that(engine: Engine) -> None:
    """Expand, then contract: the aiops before the migration goes on until it is replaced."""
    fake_revision(engine, 7, readable_since=schema.OURS)
    assert schema.schema_state(engine) == schema.Ahead(7, readable=True)
    schema.check(engine)
    assert schema.migrate(engine) == schema.Ahead(7, readable=True)  # and nothing is taken back
    assert schema.schema_state(engine) == schema.Ahead(7, readable=True)


def test_a_database_that_is_too_new_is_refused_with_what_to_type(engine: Engine) -> None:
    fake_revision(engine, 7, readable_since=schema.OURS + 1)
    assert schema.schema_state(engine) == schema.Ahead(7, readable=False)
    for act in (schema.check, schema.migrate):
        with pytest.raises(schema.WrongSchema, match=r"is of schema 7, made by a newer aiops") as refused:
            act(engine)
        assert "`aiops upgrade`" in refused.value.hint
        assert "`aiops database migrate --to 1`" in refused.value.hint


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_sql_is_shown_to_who_wants_to_run_it(dialect: str) -> None:
    shown = schema.sql(dialect)
    assert "CREATE TABLE keys" in shown
    assert "CREATE UNIQUE INDEX keys_by_alias" in shown
    assert ("PARTITION BY RANGE (started)" in shown) == (dialect == "postgresql")
    assert f"'{schema.OURS:04d}'" in shown


def test_the_clock_is_the_databases_and_goes_on_in_a_transaction(engine: Engine) -> None:
    with transaction(engine) as connection:
        first = clock.read(connection)
        while clock.read(connection) == first:
            pass
        assert 0 < clock.read(connection) - first < 60 * clock.SECOND


def test_a_linter_of_migrations_finds_nothing(tmp_path: Path) -> None:
    """Of locks that stop a gateway, and of types that are regretted."""
    script = tmp_path / "migration.sql"
    alembics = "version_num VARCHAR(32)"  # is what Alembic makes it
    script.write_text(schema.sql("postgresql").replace(alembics, "version_num TEXT"))
    linter = Path(sys.executable).with_name("squawk")
    done = subprocess.run([linter, "--pg-version=14.0", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
