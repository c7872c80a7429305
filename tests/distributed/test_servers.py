"""The servers that the tests start: they answer, and nothing of them outlives the tests, however these end."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from types import ModuleType

import pytest
import redis

from aiops.host.process import is_alive
from tests.kit import postgres as postgres_kit
from tests.kit import redis as redis_kit
from tests.kit.redis import Redis
from tests.kit.servers import needed
from tests.kit.waiting import until
from tests.kit.warm.product import ROOT

STARTS = """
import time
from {module} import {name}
server = {name}()
print(server.pid, server.port, server.directory, flush=True)
time.sleep(600)
"""


def test_redis_answers_and_forgets_when_it_is_restarted(redis_url: str) -> None:
    needed(redis_kit.missing())
    server = Redis(requirepass="only-for-tests")
    try:
        with redis.Redis.from_url(server.url, socket_timeout=5) as client:
            assert client.set("a", 1)
            server.freeze()
            with redis.Redis.from_url(server.url, socket_timeout=0.1) as other, pytest.raises(redis.TimeoutError):
                other.ping()
            server.thaw()
            assert client.get("a") == b"1"
        server.restart()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("a") is None
        with redis.Redis.from_url(redis_url) as client:
            assert client.dbsize() == 0
    finally:
        server.remove()
    assert not server.directory.exists()


@pytest.mark.parametrize("kit", [redis_kit, postgres_kit], ids=["Redis", "Postgres"])
def test_a_server_ends_with_tests_that_are_killed(kit: ModuleType) -> None:
    needed(kit.missing())
    name = "Redis" if kit is redis_kit else "Postgres"
    code = STARTS.format(module=kit.__name__, name=name)
    started = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    pid, port, directory = started.stdout.readline().split()
    started.kill()
    started.wait()

    def gone() -> bool:
        with socket.socket() as probe:
            refused = probe.connect_ex(("127.0.0.1", int(port))) != 0
        return refused and not is_alive(int(pid))  # a zombie has ended: who collects it is not the tests' to say

    until(gone, 20, f"the end of {name}")
    shutil.rmtree(directory)
