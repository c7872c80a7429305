"""The names that a shell completes: of what was committed last, which is read fast; of the files only before that."""

from __future__ import annotations

from aiops.actions.instance.snapshot import Snapshot
from aiops.apply.store import GenerationStore
from aiops.host.instance import Instance


def providers(instance: Instance) -> list[str]:
    """All but templates. Raises AiopsError when there is nothing that can be read."""
    now = Snapshot.of(instance)
    if now.routes is not None:
        return sorted(now.routes[1].providers)
    return sorted(name for name, each in now.desired.providers.items() if each.status != "template")


def models(instance: Instance) -> list[str]:
    """The names that people may ask for. Raises AiopsError."""
    now = Snapshot.of(instance)
    return list(now.routes[0].models) if now.routes is not None else []


def models_of(instance: Instance, provider: str) -> list[str]:
    """What one provider calls its models. Raises AiopsError."""
    now = Snapshot.of(instance)
    if now.routes is None:
        found = now.desired.providers.get(provider)
        return [each.name for each in found.models] if found is not None else []
    routes = now.routes[0].routes
    alone = {each.backend_model for each in routes if each.provider == provider and not each.endpoints}
    shared = {each.model or route.model for route in routes for each in route.members if each.provider == provider}
    return sorted(alone | shared)


def generations(instance: Instance) -> list[tuple[int, str]]:
    """Number and how it came about, newest first. Raises AiopsError."""
    instance.require()
    made = (each.manifest for each in reversed(GenerationStore(instance.state).all()))
    return [(each.generation, f"{each.verb} {each.reason}".strip()) for each in made]
