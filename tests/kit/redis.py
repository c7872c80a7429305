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
    """``settings``: of redis.conf, such as ``requirepass``. Nothing is kept over a restart, unless one says so.
    ``tls``: its URL is that of another port, which speaks TLS."""

    def __init__(self, *, tls: bool = False, **settings: str) -> None:
        super().__init__("redis", "nobody")
        self.port = free_port()
        self.settings = settings
        with self.removed_on_failure():
            if tls:
                certificate, key = map(str, self.certificate())
                files = {"tls_cert_file": certificate, "tls_key_file": key, "tls_ca_cert_file": certificate}
                self.settings = settings | files | {"tls_port": str(free_port()), "tls_auth_clients": "no"}
            self.start()

    @property
    def url(self) -> str:
        password = self.settings.get("requirepass")
        who = f":{password}@" if password else ""
        if secure := self.settings.get("tls_port"):
            return f"rediss://{who}127.0.0.1:{secure}/0?ssl_ca_certs={self.settings['tls_ca_cert_file']}"
        return f"redis://{who}127.0.0.1:{self.port}/0"

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

    def follow(self, master: Redis) -> None:
        """Be its replica."""
        self.ask("REPLICAOF", "127.0.0.1", str(master.port))

    def ask(self, *words: str) -> bytes:
        """One command, as it comes; what it answers, as that comes."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            said = [("AUTH", password)] if (password := self.settings.get("requirepass")) else []
            for command in (*said, words):
                packed = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in command)
                connection.sendall(f"*{len(command)}\r\n{packed}".encode())
                answer = connection.recv(65536)
            return answer

    def _answers(self) -> bool:
        assert self.running, f"Redis ended:\n{self.log.read_text()}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"PING\r\n")
                # With a password set it says that it wants one.
                return probe.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


class Sentinel(Server):
    """One of them, of ``redis-server --sentinel``, that watches ``master`` by this name."""

    def __init__(self, name: str, master: Redis, quorum: int) -> None:
        super().__init__("sentinel", "nobody")
        self.port, self._name = free_port(), name
        settings = self.directory / "sentinel.conf"  # which it writes to
        password = master.settings.get("requirepass")
        settings.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {self.directory}\n"
            f"sentinel monitor {name} 127.0.0.1 {master.port} {quorum}\n"
            f"sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 3000\n"
            + (f"sentinel auth-pass {name} {password}\n" if password else "")
        )
        settings.chmod(0o666)
        with self.removed_on_failure():
            self.spawn(str(shutil.which("redis-server")), str(settings), "--sentinel")
            until(lambda: self._says(b"PING\r\n").startswith(b"+PONG"), 20, "the sentinel's answer")

    def knows_a_replica(self) -> bool:
        return b"name" in self._says(f"SENTINEL REPLICAS {self._name}\r\n".encode())

    def _says(self, question: bytes) -> bytes:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(question)
                return connection.recv(65536)
        except OSError:
            return b""


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
