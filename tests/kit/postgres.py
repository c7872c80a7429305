"""A real PostgreSQL: one for the session, and a database for each test, copied from one that is migrated."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.kit.servers import Server, needed
from tests.kit.waiting import free_port, until

OLDEST = 14
PASSWORD = "only-for-tests"
TEMPLATE = "aiops_template"
# A test about what survives a crash starts one with these on.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def binaries() -> Path | None:
    """Debian's directory of the newest version, or where PATH says `initdb` is."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    found = [path for path in found if path.parent.name.isdigit() and int(path.parent.name) >= OLDEST]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    directories = [Path(each) for each in os.environ.get("PATH", "").split(":") if each]
    return next((each for each in directories if (each / "initdb").exists() and (each / "postgres").exists()), None)


def missing() -> str | None:
    if binaries() is None:
        return f"no PostgreSQL {OLDEST} or newer on this machine: apt-get install postgresql"
    return None


class Postgres(Server):
    """``settings``: of postgresql.conf, beside the fast ones. ``tls``: its URLs want TLS, and its certificate."""

    quickly = signal.SIGQUIT  # it has children

    def __init__(self, *, tls: bool = False, **settings: str) -> None:
        super().__init__("postgres", "postgres")
        found = binaries()
        assert found is not None
        self._binaries = found
        self._data = self.directory / "data"
        self._names = (f"test_{number}" for number in itertools.count(1))
        self.port = free_port()
        self.settings = {**FAST, **settings}
        self._options = ""  # of its URLs
        password = self.directory / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        with self.removed_on_failure():
            self.run(
                str(found / "initdb"), "-D", str(self._data), "-U", "postgres", "-A", "scram-sha-256",
                f"--pwfile={password}", "-E", "UTF8", "--locale=C", "--no-sync",
            )  # fmt: skip
            if tls:
                certificate, key = map(str, self.certificate())
                self.settings |= {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}
                self._options = f"?sslmode=verify-full&sslrootcert={certificate}"
            self.start()

    def start(self) -> None:
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.directory),
            "max_connections": "60",
            "shared_buffers": "64MB",
            **self.settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.spawn(str(self._binaries / "postgres"), "-D", str(self._data), *options)
        until(self._answers, 30, "PostgreSQL's answer")

    def stop(self, how: int = signal.SIGINT) -> None:
        """SIGINT ends transactions, SIGTERM waits for them, SIGQUIT is a crash."""
        self.end(how)

    def restart(self, how: int = signal.SIGINT) -> None:
        self.stop(how)
        self.start()

    def freeze(self) -> None:
        """All of its processes: it accepts connections and answers nothing, until ``thaw``."""
        self._tell_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._tell_all(signal.SIGCONT)

    def _tell_all(self, number: int) -> None:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for pid in (self.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def url(self, database: str = "postgres", user: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}{self._options}"

    def database(self, template: str = "template1") -> str:
        """The URL of a new one. Dropped with the server."""
        name = next(self._names)
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def drop(self, url: str) -> None:
        name = sql.Identifier(urlsplit(url).path.strip("/"))
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def execute(self, statement: str | sql.Composed) -> None:
        """As the superuser, outside of any transaction."""
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)  # type: ignore[arg-type]

    def _answers(self) -> bool:
        assert self.running, f"PostgreSQL ended:\n{self.log.read_text()}"
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The session's, for tests that leave it as it is. One that is to be stopped or starved starts its own."""
    needed(missing())
    server = Postgres()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres) -> str:
    """The name of a database that has the tables."""
    from aiops.state.store import open, schema

    postgres.execute(f"CREATE DATABASE {TEMPLATE}")
    engine = open.engine(postgres.url(TEMPLATE))
    schema.migrate(engine)
    engine.dispose()  # a template may have no guests
    return TEMPLATE


@pytest.fixture
def empty_database(postgres: Postgres) -> Iterator[str]:
    """The URL of one without any table."""
    url = postgres.database()
    yield url
    postgres.drop(url)


@pytest.fixture
def database(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """The URL of one that has the tables, and no row of this test's neighbours."""
    url = postgres.database(migrated_template)
    yield url
    postgres.drop(url)
