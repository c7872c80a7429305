"""What tests of the host share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """A directory with a short name: the path of a socket has at most 107 bytes."""
    link = Path(f"/tmp/aiops-test-{os.getpid()}")
    link.symlink_to(tmp_path)
    yield link
    link.unlink()
