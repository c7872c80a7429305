"""What the verbs that people type most do not wait for."""

from __future__ import annotations

import subprocess
import sys

import pytest

SLOW = {"pydantic", "yaml", "httpx", "rich", "pyinfra", "litellm", "re2", "prometheus_client"}


@pytest.mark.parametrize("module", ["aiops.cli", "aiops.commands.status"])
def test_the_command_line_and_status_import_nothing_slow(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({SLOW!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
