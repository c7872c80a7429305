"""The names that a shell completes: of what was committed last, which is read fast; of the files only before that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.actions.instance.snapshot import Snapshot
from aiops.apply.store import GenerationStore
from aiops.host.instance import Instance
from aiops.spec.sources import PROVIDERS


def providers(instance: Instance) -> list[str]:
    """All but templates. Raises AiopsError when there is nothing that can be read."""
    now = Snapshot.of(instance)
    if now.routes is not None:
        return sorted(now.routes[1].providers)
    return sorted(name for name, each in _written(now).items() if each.get("status") != "template")


def models(instance: Instance) -> list[str]:
    """The names that people may ask for. Raises AiopsError."""
    now = Snapshot.of(instance)
    return list(now.routes[0].models) if now.routes is not None else []


def models_of(instance: Instance, provider: str) -> list[str]:
    """What one provider calls its models. Raises AiopsError."""
    now = Snapshot.of(instance)
    if now.routes is None:
        from aiops.spec.edit.references import model_names

        return sorted(filter(None, model_names(_written(now).get(provider))))
    routes = now.routes[0].routes
    alone = {each.backend_model for each in routes if each.provider == provider and not each.endpoints}
    shared = {each.model or route.model for route in routes for each in route.members if each.provider == provider}
    return sorted(alone | shared)


def generations(instance: Instance) -> list[tuple[int, str]]:
    """Number and how it came about, newest first. Raises AiopsError."""
    instance.require()
    made = (each.manifest for each in reversed(GenerationStore(instance.state).all()))
    return [(each.generation, f"{each.verb} {each.reason}".strip()) for each in made]


def _written(now: Snapshot) -> dict[str, Mapping[str, Any]]:
    """What stands in the file, valid or not; whatever is no provider is left out."""
    from aiops.spec.yaml import yaml12  # 40 ms, which only an instance without a generation costs

    found = yaml12.parse(PROVIDERS, now.sources[PROVIDERS]).data.get("providers") or {}
    return {name: each for name, each in found.items() if isinstance(each, Mapping)}
