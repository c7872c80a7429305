"""``aiops init``: an instance with commented defaults and a master key."""

from __future__ import annotations

from pathlib import Path

from aiops.host.instance import Instance
from aiops.host.setup import make_instance


def init(instance: Instance, profile: str | None, supervisor: str | None, port: int | None) -> list[Path]:
    """What had to be made; nothing that is there is touched. None: as the defaults say.

    Raises Precondition when it cannot be written.
    """
    return make_instance(instance, profile=profile, supervisor=supervisor, port=port)
