"""Which version the tables are of, and bringing them to ours: a number, counted up by each migration.

Expand, then contract: a migration only adds what the aiops before it does not see; what nobody uses any more goes in a
later one. ``meta.readable_since`` is the oldest aiops schema that can work on the tables as they are now.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, select, text

from aiops.errors import Precondition
from aiops.state.store.open import is_postgres, reading, writing
from aiops.state.store.tables import meta

if TYPE_CHECKING:
    from alembic.config import Config

OURS = 1
# Whoever waits for a table makes all wait that come after: better the migration is run again.
PATIENCE = ("lock_timeout = '5s'", "statement_timeout = '1h'")
_LOCK = 0x41694F70 << 8  # of migrations, among the advisory locks of a database of Postgres


@dataclass(frozen=True)
class Ok:
    """The tables are ours."""


@dataclass(frozen=True)
class Behind:
    """They are of an older aiops; ``revision`` 0: there are none yet."""

    revision: int


@dataclass(frozen=True)
class Ahead:
    """They are of a newer aiops; ``readable``: made so that this one can still work on them."""

    revision: int
    readable: bool


State = Ok | Behind | Ahead


class WrongSchema(Precondition):
    """The tables are of another version of aiops."""

    name = "wrong_schema"


def schema_state(engine: Engine) -> State:
    with reading(engine) as connection:
        return state_on(connection)


def state_on(connection: Connection) -> State:
    if not inspect(connection).has_table("alembic_version"):
        return Behind(0)
    revision = int(connection.scalar(text("SELECT version_num FROM alembic_version")) or 0)
    if revision == OURS:
        return Ok()
    if revision < OURS:
        return Behind(revision)
    since = connection.scalar(select(meta.c.value).where(meta.c.name == "readable_since"))
    return Ahead(revision, since is not None and int(since) <= OURS)


def check(engine: Engine) -> None:
    """Raises ``WrongSchema`` when this aiops must not work on these tables."""
    state = schema_state(engine)
    if isinstance(state, Behind):
        what = f"is of schema {state.revision}" if state.revision else "has no tables of aiops"
        raise WrongSchema(
            f"the database {what}, and this aiops needs schema {OURS}",
            "bring it up to date with `aiops database migrate`",
        )
    if isinstance(state, Ahead) and not state.readable:
        raise _too_new(state)


def _too_new(state: Ahead) -> WrongSchema:
    return WrongSchema(
        f"the database is of schema {state.revision}, made by a newer aiops that schema {OURS} cannot work with",
        "use that aiops here too (`aiops upgrade`), or take the database back with it:"
        f" `aiops database migrate --to {OURS}`",
    )


def migrate(engine: Engine, to: int | None = None) -> State:
    """Bring the tables to ``to`` (None: ours), all of it or nothing; the state before. Another one that migrates is
    waited for. Raises ``WrongSchema`` when they are newer than this aiops knows.
    """
    target = OURS if to is None else to
    with writing(engine) as connection:
        if is_postgres(engine):
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            for setting in PATIENCE:
                connection.exec_driver_sql(f"SET LOCAL {setting}")
        before = state_on(connection)
        if isinstance(before, Ahead):
            if before.readable and to is None:
                return before
            raise _too_new(before)
        _run(connection, OURS if isinstance(before, Ok) else before.revision, target)
    return before


def _run(connection: Connection, now: int, target: int) -> None:
    from alembic import command

    if target == now:
        return
    config = _config()
    config.attributes["connection"] = connection
    if target > now:
        command.upgrade(config, f"{target:04d}")
    else:
        command.downgrade(config, f"{target:04d}" if target else "base")


def sql(dialect: str, since: int = 0, to: int = OURS) -> str:
    """What ``migrate`` would execute, for people who let nobody else touch their database. ``dialect``: ``sqlite`` or
    ``postgresql``."""
    from alembic import command

    with closing(StringIO()) as written:
        config = _config(written)
        config.set_main_option("dialect", dialect)
        command.upgrade(config, f"{since:04d}:{to:04d}" if since else f"{to:04d}", sql=True)
        return written.getvalue()


def _config(output: StringIO | None = None) -> Config:
    from alembic.config import Config

    config = Config(output_buffer=output) if output is not None else Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config
