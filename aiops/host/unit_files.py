"""Files that belong to units: read, kept aside before they are replaced, and where programs for them are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from aiops.host import clock, files, privileges


def read(path: Path) -> bytes | None:
    """None when there is no such file. Raises OSError otherwise."""
    with privileges.as_root():
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def keep_aside(path: Path) -> Path:
    """Copy it beside itself, under a name that systemd does not read. Raises OSError."""
    copy = path.with_name(f"{path.name}.edited-{clock.now().replace(':', '')}")
    with privileges.as_root():
        files.write(copy, path.read_bytes(), 0o600)
    return copy


def find_program(name: str) -> str | None:
    """Absolute path of a program: where this shell finds it, or where installers put it."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/bin", str(Path.home() / ".local/bin")])
    found = shutil.which(name, path=path)
    return os.path.abspath(found) if found else None  # noqa: PTH100 — a link is kept as it is


def is_program(path: str) -> bool:
    return Path(path).is_file() and os.access(path, os.X_OK, effective_ids=True)


def is_there(path: str) -> bool:
    return Path(path).exists()
