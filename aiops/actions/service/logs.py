"""``aiops logs``: what the gateway said."""

from __future__ import annotations

from collections.abc import Iterable

from aiops.actions.instance.place import place
from aiops.host.instance import Instance


def logs(instance: Instance, lines: int, follow: bool) -> Iterable[str]:
    """The last ``lines``; with ``follow`` whatever comes, until the reader stops. Raises Precondition."""
    return place(instance).supervisor.logs(lines, follow)
