"""An instance that shares a Postgres and a Redis, and what a process used of the processor."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tests.bench.gateways import BenchError, Instance
from tests.bench.session import Session
from tests.kit.postgres import Postgres
from tests.kit.postgres import missing as no_postgres
from tests.kit.redis import Redis
from tests.kit.redis import missing as no_redis

TICKS = os.sysconf("SC_CLK_TCK")
MODE = """mode: distributed

deployment:
  database_url_file: database_url
  redis_url_file: redis_url
  replica: bench
"""


def stores(stack: contextlib.ExitStack) -> tuple[Postgres, Redis]:
    """Raises BenchError when they are not installed."""
    if reason := no_postgres() or no_redis():
        raise BenchError(reason)
    postgres, redis = Postgres(), Redis()
    stack.callback(postgres.remove)
    stack.callback(redis.remove)
    return postgres, redis


def instance(session: Session, stack: contextlib.ExitStack, database: str, redis: str) -> Instance:
    """A started one with one worker, without providers."""
    made = Instance(session.directory / f"home-{session.number()}")
    stack.callback(made.stop)
    made.create()
    settings = made.home / "config" / "aiops.yaml"
    text = settings.read_text()
    assert "mode: standalone\n" in text
    settings.write_text(text.replace("mode: standalone\n", MODE))
    for name, url in (("database_url", database), ("redis_url", redis)):
        file = made.home / "secrets" / name
        file.touch(0o600)
        file.write_text(f"{url}\n")
    made.run("database", "migrate")
    made.start()
    return made


def cpu(pids: list[int]) -> float:
    """Seconds of processor time that they have used so far, user and system (proc(5), stat)."""
    used = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += int(fields[11]) + int(fields[12])
    return used / TICKS
