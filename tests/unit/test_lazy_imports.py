"""What people do not wait for: `--help` of any verb, and `status`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLOW = {"pydantic", "yaml", "httpx", "rich", "pyinfra", "litellm", "re2", "prometheus_client"}
STATUS = "aiops.actions.service.status"


def slow_after(*modules: str) -> list[str]:
    """Which of the slow ones a fresh interpreter has imported after these modules."""
    code = (
        "import importlib, sys\n"
        f"for module in {modules!r}: importlib.import_module(module)\n"
        f"print(*sorted({SLOW!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


@pytest.mark.parametrize("module", ["aiops.cli", STATUS])
def test_the_command_line_and_status_import_nothing_slow(module: str) -> None:
    assert slow_after(module) == []


def test_no_verb_imports_anything_slow_for_its_help() -> None:
    """What is slow is imported by a verb that is called, so the modules themselves need none of it."""
    files = sorted((ROOT / "aiops" / "commands").rglob("*.py"))
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    assert len(modules) > 30
    assert slow_after(*modules) == []
