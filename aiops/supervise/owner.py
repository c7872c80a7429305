"""Whose the installed unit is: a question of every verb, which need not know how units are made for it."""

from __future__ import annotations

from aiops.host.systemd import Systemd

SERVICE = "litellm.service"
SOCKET, TIMER, CHECK = "litellm.socket", "aiops-verify.timer", "aiops-verify.service"
# The units' own header says which instance they belong to.
OWNER_MARK = "# instance: "


def owner(manager: Systemd) -> str | None:
    """State directory of the instance whose unit is installed, as the unit's own header says."""
    try:
        text = (manager.directory / SERVICE).read_bytes().decode(errors="replace")
    except OSError:
        return None
    marked = [line for line in text.splitlines() if line.startswith(OWNER_MARK)]
    return marked[0].removeprefix(OWNER_MARK) if marked else None
