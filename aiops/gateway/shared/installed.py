"""Which LiteLLM and which aiops are where: the installation itself, and the runtimes beside it.

A *runtime* is an immutable virtual environment below ``state/runtimes``: one LiteLLM, one aiops. Its id is the name
of its directory; None stands for the environment that the command line itself is installed in.

Shared with the command line: it imports nothing of aiops.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Final

# Published by an attacker (supply-chain compromise); no process of ours may execute or even download them.
COMPROMISED: Final = frozenset({"1.82.7", "1.82.8"})
RUNTIMES: Final = "runtimes"
# Written last: a runtime without it was never finished.
MANIFEST: Final = "runtime.json"
# In a container the image is the runtime. Its id and the container's name are in the environment, and an invitation to
# take over from the container that serves is a file of this name in the run directory.
IMAGE: Final = "image-"
IMAGE_VARIABLE: Final = "AIOPS_IMAGE"
CONTAINER_VARIABLE: Final = "AIOPS_CONTAINER"
INVITATION: Final = "successor.json"


def directory_of(state: Path, runtime: str) -> Path:
    return state / RUNTIMES / runtime


def python_of(state: Path, runtime: str) -> Path | None:
    """The interpreter of a runtime that is whole; None when there is none."""
    directory = directory_of(state, runtime)
    python = directory / "bin" / "python"
    return python if (directory / MANIFEST).is_file() and python.exists() else None


def own() -> str | None:
    """The runtime this very process runs in; None in the installation itself."""
    if image := os.environ.get(IMAGE_VARIABLE):
        return image
    try:
        return str(json.loads((Path(sys.prefix) / MANIFEST).read_bytes())["id"])
    except (OSError, ValueError, KeyError):
        return None


def is_image(runtime: str | None) -> bool:
    """Whether this runtime is an image, and not an environment below ``state/runtimes``."""
    return runtime is not None and runtime.startswith(IMAGE)


def committed(state: Path) -> str | None:
    """The runtime that the committed generation was proved in."""
    try:
        runtime = json.loads((state / "current" / "manifest.json").read_bytes()).get("runtime")
    except (OSError, ValueError):
        return None
    return str(runtime) if runtime else None


def code_digest(package: Path) -> str:
    """SHA-256 (hex) over the modules of an aiops package: tells two checkouts with the same version apart."""
    seen = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        seen.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes() + b"\0")
    return seen.hexdigest()
