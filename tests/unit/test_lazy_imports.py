"""What people do not wait for: `--help` of any verb, and looking: `status`, `list`, completed names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLOW = {"pydantic", "yaml", "httpx", "rich", "pyinfra", "litellm", "re2", "prometheus_client"}
# What people wait for while they look, or while they type.
LOOKING = [
    "aiops.cli",
    "aiops.actions.service.status",
    "aiops.actions.service.list",
    "aiops.actions.service.ask",
    "aiops.actions.about.help",
    "aiops.actions.about.names",
    "aiops.actions.about.version",
    "aiops.actions.about.completion",
]


def slow_after(*modules: str) -> list[str]:
    """Which of the slow ones a fresh interpreter has imported after these modules."""
    code = (
        "import importlib, sys\n"
        f"for module in {modules!r}: importlib.import_module(module)\n"
        f"print(*sorted({SLOW!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


@pytest.mark.parametrize("module", LOOKING)
def test_what_is_looked_at_often_imports_nothing_slow(module: str) -> None:
    assert slow_after(module) == []


def test_no_verb_imports_anything_slow_for_its_help() -> None:
    """What is slow is imported by a verb that is called, so the modules themselves need none of it."""
    files = sorted((ROOT / "aiops" / "commands").rglob("*.py"))
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    assert len(modules) > 30
    assert slow_after(*modules) == []
