"""``aiops version``: what is installed here, and what the gateway runs."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from typing import Any

import aiops
from aiops.actions.instance.snapshot import Snapshot
from aiops.host.instance import Instance

PATIENCE_SECONDS = 0.3  # for the master's answer: the rest is known anyway


@dataclass(frozen=True)
class Running:
    """What the gateway says that it runs."""

    aiops: str
    litellm: str


@dataclass(frozen=True)
class Version:
    """``litellm`` None: none is installed beside this aiops. ``gateway`` None: none runs."""

    aiops: str
    litellm: str | None
    python: str
    gateway: Running | None

    def lines(self) -> list[str]:
        found = [
            f"aiops    {self.aiops}",
            f"LiteLLM  {self.litellm or 'is not installed here'}",
            f"Python   {self.python}",
        ]
        if self.gateway is not None:
            found.append(f"gateway  runs LiteLLM {self.gateway.litellm} with aiops {self.gateway.aiops}")
        return found

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def version(instance: Instance) -> Version:
    """Asks nobody but the gateway's own master; an instance is not needed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        litellm = installed("litellm")
    except PackageNotFoundError:
        litellm = None
    master = Snapshot(instance, PATIENCE_SECONDS).master if instance.exists else None
    running = Running(master.version, master.litellm) if master is not None and master.litellm else None
    return Version(aiops.__version__, litellm, platform.python_version(), running)
