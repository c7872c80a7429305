"""An engine on SQLite (a path) or Postgres (a URL as libpq takes it), and transactions on it."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from aiops.errors import Precondition
from aiops.state.store import marker

CONNECTIONS = 3  # of the pool; another one listens, and five are what a host may have
CONNECT_SECONDS = 2
STATEMENT_SECONDS = 5
BUSY_SECONDS = 5  # a writer of SQLite waits for another one, or for a backup
T = TypeVar("T")

_DEFERRED = "aiops_reads"
# A server that is cut off is noticed by the kernel, not when somebody loses patience.
_LIVENESS = {"keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "2", "tcp_user_timeout": "5000"}


class Unavailable(Precondition):
    """The database cannot be reached, or has no connection left."""

    name = "database_unavailable"


def engine(
    where: Path | str, *, connections: int = CONNECTIONS, statement_seconds: float = STATEMENT_SECONDS
) -> Engine:
    """Opens nothing yet. A path is SQLite's; its directory has to be there, and who connects gets Missed
    where a file was that is not there any more (``marker``). Raises ValueError for another URL.

    What an error says of a statement is without its parameters: hashes of keys, and tags, have no place in logs.
    """
    if isinstance(where, Path):
        return _sqlite(where, connections)
    if not where.startswith(("postgresql://", "postgres://")):
        raise ValueError("a database URL begins with postgresql://")
    return _postgres(where, connections, statement_seconds)


def is_postgres(of: Connection | Engine) -> bool:
    return of.dialect.name == "postgresql"


def _sqlite(path: Path, connections: int) -> Engine:
    made = create_engine(
        f"sqlite:///{path}",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        hide_parameters=True,
    )

    @event.listens_for(made, "do_connect")
    def before(*_: Any) -> None:
        # SQLite gives its journal the permissions of the file. One that is there is not opened: closing it again would
        # take away the locks of every other connection of this process (https://www.sqlite.org/howtocorrupt.html,
        # 2.2), and whoever closes next elsewhere would take himself for the last one and remove the journal.
        if not path.exists():
            marker.require_none(path)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

    @event.listens_for(made, "connect")
    def connected(raw: Any, _: Any) -> None:
        raw.isolation_level = None  # the driver would begin when it likes, and commit before each DDL
        for pragma in (
            f"busy_timeout = {BUSY_SECONDS * 1000}",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "foreign_keys = ON",
        ):
            raw.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(made, "begin")
    def begun(connection: Connection) -> None:
        # Who reads first and writes then would be refused at once, without waiting, when another wrote in between.
        reads = connection.get_execution_options().get(_DEFERRED)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return made


def connect_parameters(url: str) -> dict[str, Any]:
    """For ``psycopg.connect``: what the URL says, and time-outs where it says nothing. Raises ValueError."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ValueError("the database URL cannot be read: write postgresql://USER:PASSWORD@HOST:PORT/NAME") from None
    return {"connect_timeout": CONNECT_SECONDS, "application_name": "aiops", **_LIVENESS, **given}


def place(url: str) -> str:
    """Where a URL of Postgres leads to, for people: ``host:port/name``, without a password. Raises ValueError."""
    given = connect_parameters(url)
    host, port = given.get("host") or given.get("hostaddr") or "localhost", given.get("port")
    return f"{host}{f':{port}' if port else ''}/{given.get('dbname') or given.get('user') or ''}"


def _postgres(url: str, connections: int, statement_seconds: float) -> Engine:
    from aiops.state.store.patient import BEYOND_SECONDS, Patient

    parameters = connect_parameters(url)

    def connect() -> Patient:
        # Statements are not prepared: behind PgBouncer they would be another connection's, and a schema that changes
        # under a plan is "cached plan must not change result type".
        made = Patient.connect(**parameters, prepare_threshold=None)
        made.patience = statement_seconds + BEYOND_SECONDS
        return made

    made = create_engine(
        "postgresql+psycopg://",
        creator=connect,  # SQLAlchemy does not know URLs of several hosts, and so never holds the password either
        pool_size=connections,
        max_overflow=0,
        pool_timeout=CONNECT_SECONDS + statement_seconds,
        pool_pre_ping=True,
        hide_parameters=True,
    )

    @event.listens_for(made, "connect")
    def connected(raw: Any, _: Any) -> None:
        with raw.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {int(statement_seconds * 1000)}")
            cursor.execute("SET idle_in_transaction_session_timeout = '30s'")
            cursor.execute("SET timezone = 'UTC'")
        raw.commit()

    return made


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database and waits for no writer. Raises ``Unavailable``."""
    with _explained(), engine.connect() as connection:
        option = {"postgresql_readonly": True} if is_postgres(engine) else {_DEFERRED: True}
        yield connection.execution_options(**option)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction, committed at the end. On SQLite it is the only one that writes. Raises ``Unavailable``."""
    with _explained(), engine.begin() as connection:
        yield connection


def transact(engine: Engine, work: Callable[[Connection], T], tries: int = 5) -> T:
    """``work`` in a transaction, from its beginning again when it met another one's (a deadlock). What it does beside
    the database has to bear that."""
    for left in reversed(range(tries)):
        try:
            with writing(engine) as connection:
                return work(connection)
        except DBAPIError as error:
            if not conflicted(error) or not left:
                raise
        time.sleep(random.uniform(0.01, 0.1))  # noqa: S311
    raise AssertionError("the last try returns or raises")


def conflicted(error: BaseException) -> bool:
    """Whether the transaction may simply be tried again: a deadlock, or one that could not be serialised."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in ("40P01", "40001")


def lost(error: BaseException) -> bool:
    """Whether the database was not reached, rather than said no."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return isinstance(error, OperationalError)
    # 57P0x: the server is shut down or starts; 53300: no connection left; 25006: it is a standby.
    return state[:2] == "08" or state in ("57P01", "57P02", "57P03", "53300", "25006")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("all connections to the database are in use", "try again") from error
    except DBAPIError as error:
        if not lost(error):
            raise
        raise Unavailable(f"the database cannot be used: {reason(error)}", _hint(error)) from error


def reason(error: BaseException) -> str:
    """What it says, on one line, without the row that it is about. libpq never repeats a password."""
    orig = getattr(error, "orig", None)
    primary = getattr(getattr(orig, "diag", None), "message_primary", None)  # psycopg's DETAIL has the whole row
    return " ".join(str(primary or orig or error).split())


def _hint(error: DBAPIError) -> str:
    state = getattr(error.orig, "sqlstate", None)
    words = str(error.orig)
    if "database is locked" in words:
        return "another program (a backup?) holds it: try again when that has ended"
    if state == "53300" or "too many clients" in words or "connection slots are reserved" in words:
        return "raise max_connections of the server, or end what else is connected"
    if state == "25006":
        return "this server is a standby: put all hosts and target_session_attrs=read-write into the URL"
    if "password authentication failed" in words:
        return "put the right user and password into the file of the database URL"
    return "is it running, and is the address right?"
