"""Which secrets the gateway needs, by reference. The values never pass through here."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from aiops.spec.shapes.model import DesiredState, Provider
from aiops.spec.shapes.options import referred

MASTER_KEY_ENV = "AIOPS_MASTER_KEY"


@dataclass(frozen=True)
class EnvRef:
    """A secret in the environment variable ``name``."""

    name: str


@dataclass(frozen=True)
class FileRef:
    """A secret in the file ``path``, as the operator wrote the path."""

    path: str


def key_variable(provider: Provider) -> str | None:
    """The environment variable in which LiteLLM finds the provider's key; None when it has none."""
    if provider.api_key_env is not None:
        return provider.api_key_env
    if provider.api_key_file is None:
        return None
    variable = "AIOPS_KEY_" + re.sub(r"[^A-Z0-9]", "_", provider.name.upper())
    if variable.removeprefix("AIOPS_KEY_").lower() != provider.name:
        # `a-b` and `a_b` are two providers.
        variable += "_" + hashlib.sha256(provider.name.encode()).hexdigest()[:6].upper()
    return variable


def secret_env(state: DesiredState) -> dict[str, EnvRef | FileRef]:
    """Environment variable -> where its value comes from, for every active provider that has a key, and for what
    options refer to."""
    needed: dict[str, EnvRef | FileRef] = {}
    for provider in state.providers.values():
        variable = key_variable(provider)
        if provider.status != "active":
            continue
        for name in referred((provider.options, *(model.options for model in provider.models))):
            needed[name] = EnvRef(name)
        if variable is not None:
            file = provider.api_key_file
            needed[variable] = FileRef(file) if file is not None else EnvRef(variable)
    named = [(match.provider, match.options) for match in state.exact_matches.values()]
    named += [
        (each.provider, each.options) for rule in state.mappings.load_balancing.values() for each in rule.providers
    ]
    for owner, options in named:
        if owner in state.providers and state.providers[owner].status == "active":
            needed |= {name: EnvRef(name) for name in referred(options) if name not in needed}
    return dict(sorted(needed.items()))
