"""A real Redis of Debian's package, for tests that need one."""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.servers import Server, needed
from tests.kit.waiting import free_port, until


def missing() -> str | None:
    return None if shutil.which("redis-server") else "no redis-server on this machine: apt-get install redis-server"


class Redis(Server):
    """``settings``: of redis.conf, such as ``requirepass``. Nothing is kept over a restart, unless one says so."""

    def __init__(self, **settings: str) -> None:
        super().__init__("redis", "nobody")
        self.port = free_port()
        self.settings = settings
        with self.removed_on_failure():
            self.start()

    @property
    def url(self) -> str:
        password = self.settings.get("requirepass")
        return f"redis://{f':{password}@' if password else ''}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.directory),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            **self.settings,
        }
        # In a file: a password on the command line would be everybody's.
        path = Path(self.directory / "redis.conf")
        path.write_text("".join(f'{name.replace("_", "-")} "{value}"\n' for name, value in settings.items()))
        path.chmod(0o644)
        self.spawn(str(shutil.which("redis-server")), str(path))
        until(self._answers, 20, "Redis' answer")

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.end(how)

    def restart(self, how: int = signal.SIGTERM) -> None:
        """Without its data, unless the settings keep it."""
        self.stop(how)
        self.start()

    def freeze(self) -> None:
        """It accepts connections and answers nothing, until ``thaw``."""
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def _answers(self) -> bool:
        assert self.running, f"Redis ended:\n{self.log.read_text()}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"PING\r\n")
                # With a password set it says that it wants one.
                return probe.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """The session's, for tests that leave it as it is. One that is to be stopped or frozen starts its own."""
    needed(missing())
    server = Redis()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """Of the session's, with nothing in it."""
    with socket.create_connection(("127.0.0.1", redis_server.port), 5) as connection:
        connection.sendall(b"FLUSHALL\r\n")
        assert connection.recv(64).startswith(b"+OK")
    return redis_server.url
