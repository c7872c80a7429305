"""A provider and the unit that runs it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aiops.actions.instance.snapshot import Snapshot
from aiops.errors import Precondition, UsageError
from aiops.host.provider_unit import STOPPED, ProviderUnit
from aiops.render.provider_units import KINDS
from aiops.spec.shapes.model import DesiredState, Provider
from aiops.spec.suggest import did_you_mean, listed


@dataclass(frozen=True)
class ProviderResult:
    """How a verb ended: as a sentence and as data. ``seconds`` is wall time."""

    outcome: str
    sentence: str
    provider: str
    unit: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": round(self.seconds, 3)}


def managed(now: Snapshot, name: str) -> Managed:
    """Raises UsageError for an unknown provider, Precondition for a template and one that names no unit."""
    instance, provider = now.instance, known(now.desired, name)
    if provider.service is None:
        raise Precondition(
            f"`{name}` names no unit that runs it",
            f"`{instance.command} provider install {name}` makes one"
            if provider.type in KINDS
            else f"in providers.yaml, below `{name}:`, for example `service: {{unit: {name}.service}}`",
        )
    kind = KINDS.get(provider.type)
    ours = kind is not None and kind.instance(provider.service.unit) is not None
    install = f"{instance.command} provider install {name}" if ours else ""
    return Managed(provider, ProviderUnit(provider.service, install), now.key_of(provider))


def require_room(now: Snapshot, server: Managed, leaving: str = "") -> None:
    """Raises Precondition when another provider of the same exclusive group runs, ``leaving`` excepted."""
    own = server.provider.service
    for other in now.desired.providers.values():
        service = other.service
        if service is None or own is None or other.name in (server.name, leaving) or service.unit == own.unit:
            continue
        together = own.exclusive_group is not None and service.exclusive_group == own.exclusive_group
        if together and ProviderUnit(service).now().active not in STOPPED:
            raise Precondition(
                f"{service.unit} of `{other.name}` runs, and only one of group `{own.exclusive_group}` can",
                f"`{now.instance.command} switch {other.name} {server.name}` changes over without a gap",
            )


def known(state: DesiredState, name: str) -> Provider:
    """Raises UsageError with the nearest name, Precondition for a template: nobody is at the address it shows."""
    provider = state.providers.get(name)
    if provider is None:
        names = state.providers
        raise UsageError(f"there is no provider `{name}`", did_you_mean(name, names, f"providers: {listed(names)}"))
    if provider.status == "template":
        raise Precondition(f"`{name}` is a template", "copy it to a provider of its own first")
    return provider


@dataclass(frozen=True)
class Managed:
    """A provider, the unit that runs it, and its API key, if it wants one."""

    provider: Provider
    unit: ProviderUnit
    key: str | None

    @property
    def name(self) -> str:
        return self.provider.name
