"""Where a user's sockets are: asked by every verb, most of which have nothing to ask of systemd."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def runtime_directory() -> Path | None:
    """``XDG_RUNTIME_DIR``, or where it usually is when this shell was not told, or was told wrong.

    One that this user's systemd listens in is right whatever the variable says: the gateway's sockets are found
    there by every shell.
    """
    given = os.environ.get("XDG_RUNTIME_DIR")
    usual = Path(f"/run/user/{os.geteuid()}")
    # After `sudo` or `runuser` it may be that of another user, which this one may not even look into.
    known = [Path(given)] if given and os.access(given, os.X_OK, effective_ids=True) else []
    with suppress(OSError):
        known += [usual] if usual.stat().st_uid == os.geteuid() else []
    return next((path for path in known if (path / "systemd/private").exists()), known[0] if known else None)
