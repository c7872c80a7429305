"""docs/from-one-box-to-three.md does what it shows, and the minimal templates start as they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.distributed.replicas import secret
from tests.docs.console import Shell, commands
from tests.kit.gateway import Gateway
from tests.kit.postgres import Postgres
from tests.kit.waiting import free_port
from tests.kit.warm.product import BIN, ROOT


@pytest.fixture
def box() -> Iterator[Gateway]:
    gateway = Gateway()
    try:
        yield gateway
    finally:
        gateway.destroy()


@pytest.fixture
def second() -> Iterator[Gateway]:
    gateway = Gateway()
    try:
        yield gateway
    finally:
        gateway.destroy()


def test_every_command_of_the_page_from_one_box_to_three(
    box: Gateway, second: Gateway, postgres: Postgres, redis_url: str, tmp_path: Path
) -> None:
    box.init()
    box.up()
    database = postgres.database()
    env = {
        **box.env,
        "PATH": f"{BIN}:{box.env['PATH']}",
        "AIOPS_HOME": str(box.home),
        "SECOND": str(second.home),
        "PORT": str(box.port),
        "SECOND_PORT": str(free_port()),
        "DATABASE_URL_FILE": str(secret(tmp_path / "database", database)),
        "REDIS_URL_FILE": str(secret(tmp_path / "redis", redis_url)),
    }
    shell = Shell(tmp_path, env)
    for command in commands((ROOT / "docs" / "from-one-box-to-three.md").read_text()):
        shell.run(command)


@pytest.mark.parametrize("mode", ["standalone", "distributed"])
def test_the_minimal_template_starts_as_it_is(mode: str, box: Gateway, database: str, redis_url: str) -> None:
    """But for the port, which has to be free."""
    box.init()
    shutil.copy(ROOT / "config" / mode / "aiops.yaml", box.source("aiops.yaml"))
    box.edit("aiops.yaml", "port: 4000", f"port: {box.port}")
    for name, url in (("database_url", database), ("redis_url", redis_url)):
        secret(box.home / "secrets" / name, url)
    box.must("up")
    assert box.must("status")["mode"] == mode
    assert box.get("/_health/ready").json()["status"] == "ready"
