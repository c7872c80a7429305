"""What of a desired state is not a route: providers and settings, without secrets, for comparing generations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.spec.model import DesiredState


@dataclass(frozen=True)
class Summary:
    """``providers``: name -> its facts; ``settings``: dotted name -> value."""

    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def summarise(state: DesiredState) -> Summary:
    """Providers (type, URL, status, where the key is, billable, number of models) and settings with their defaults."""
    providers = {
        name: {
            "type": provider.type,
            "url": provider.root,
            "status": provider.status,
            "key": f"env {provider.api_key_env}"
            if provider.api_key_env
            else f"file {provider.api_key_file}"
            if provider.api_key_file
            else None,
            "billable": provider.is_billable,
            "models": len(provider.models),
            # Only where it is written, so that generations from before it are not different.
            **({"max_parallel": provider.max_parallel} if provider.max_parallel is not None else {}),
        }
        for name, provider in sorted(state.providers.items())
        if provider.status != "template"  # an example: nothing of it is served, watched or proved
    }
    settings: dict[str, Any] = {}
    for key, value in state.settings.model_dump().items():
        if key == "container" and state.settings.supervisor != "container":
            continue  # nothing of it has an effect
        if isinstance(value, dict):
            settings |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            settings[key] = value
    return Summary(providers, dict(sorted(settings.items())))
