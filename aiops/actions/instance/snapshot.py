"""An instance at one moment: what a verb looks at is looked at once, and handed down.

Each part is read when it is first asked for and stays as it was read. Whoever changed something, or has taken the
lock since, takes a new one, and says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from aiops.host import credentials
from aiops.host.instance import Instance, read_sources
from aiops.spec.sources import KEYS, Sources

if TYPE_CHECKING:
    from aiops.apply.store import Generation, GenerationStore
    from aiops.gateway.shared.messages import Status
    from aiops.spec.routes.routes import RouteTable
    from aiops.spec.routes.summary import Summary
    from aiops.spec.shapes.model import DesiredState, Provider


@dataclass(frozen=True)
class Snapshot:
    """``patience``: seconds for the master's answer, see ``host.master.status``."""

    instance: Instance
    patience: float = 2.0

    @classmethod
    def of(cls, instance: Instance) -> Self:
        """Raises Precondition when there is no instance."""
        instance.require()
        return cls(instance)

    @cached_property
    def generations(self) -> GenerationStore:
        from aiops.apply.store import GenerationStore  # `validate` asks for no generation, and for no master

        return GenerationStore(self.instance.state)

    @cached_property
    def current(self) -> int | None:
        """The number of the committed generation; None before the first."""
        return self.generations.current()

    @cached_property
    def committed(self) -> Generation | None:
        """The generation that was committed last; None before the first."""
        return self.generations.get(self.current) if self.current is not None else None

    @cached_property
    def declares_keys(self) -> bool:
        """Whether the committed generation has a ``keys.yaml``."""
        return self.committed is not None and (self.committed.directory / "sources" / KEYS).exists()

    @cached_property
    def routes(self) -> tuple[RouteTable, Summary] | None:
        """The routes of the committed generation, and what else is known of it."""
        return self.committed.routes() if self.committed is not None else None

    @cached_property
    def release(self) -> Mapping[str, bytes]:
        """The rendered files of the committed generation; empty before the first."""
        return self.committed.release() if self.committed is not None else {}

    @cached_property
    def master(self) -> Status | None:
        """The master's account of itself; None when there is none."""
        from aiops.host import master

        return master.status(self.instance.run, self.patience)

    @cached_property
    def sources(self) -> Sources:
        """The operator's files. Raises InvalidState naming each that cannot be read."""
        return read_sources(self.instance)

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """What ``${VAR}`` and ``api_key_env`` mean here. Raises InvalidState."""
        return credentials.environment(self.instance)

    @cached_property
    def desired(self) -> DesiredState:
        """What the files say. Raises InvalidState with every problem."""
        state = self.load(self.sources)
        credentials.require_mounted(self.instance, state)
        return state

    def load(self, sources: Sources) -> DesiredState:
        """Other sources, in this environment. Raises InvalidState with every problem."""
        from aiops.spec.load.load import load  # `status` looks at an instance and loads nothing

        return load(sources, self.environment)

    def key_of(self, provider: Provider) -> str | None:
        """The API key of one provider, if it has one."""
        return credentials.provider_keys(self.instance, [provider], self.environment).get(provider.name)

    def routes_to(self, provider: str) -> tuple[str, ...]:
        """The models that a provider answers in what serves now; none when nothing serves."""
        if self.routes is None or self.master is None:
            return ()
        return tuple(route.model for route in self.routes[0].routes if route.provider == provider)
