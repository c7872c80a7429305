"""What the unit of a container does when systemd stops it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.host.container_unit import stop
from aiops.host.engines import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """It knows two containers, of which one runs, and notes what it is told."""
    program = tmp_path / "engine"
    program.write_text(
        f"""#!/bin/sh
echo "$@" >>{tmp_path}/told
case $1 in
    ps) echo aiops-x-1 aiops-x-2 ;;
    container) printf '/aiops-x-1|exited|image-a|1\\n/aiops-x-2|running|image-b|2\\n' ;;
esac
"""
    )
    program.chmod(0o755)
    return Engine(str(program))


def told(tmp_path: Path) -> list[str]:
    path = tmp_path / "told"
    return path.read_text().splitlines() if path.exists() else []


def test_a_stop_ends_what_runs(engine: Engine, tmp_path: Path) -> None:
    stop(engine, "aiops-x", tmp_path, restarting=False, within=7)
    assert told(tmp_path)[-1] == "stop --time=7 aiops-x-2"


def test_a_restart_that_restarts_nothing_says_so_and_ends_no_container(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop(engine, "aiops-x", tmp_path, restarting=True, within=7)
    assert capsys.readouterr().err == "the gateway is not restarted: the gateway is not running\n"
    assert told(tmp_path) == []
