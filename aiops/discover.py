"""Asking a provider which models it serves, and what it says about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aiops.errors import UsageError, VerificationFailed
from aiops.host import credentials
from aiops.host.instance import Instance
from aiops.prover import provider_key
from aiops.provider_service import known
from aiops.service import desired
from aiops.spec.model import Provider
from aiops.spec.provider_types import TYPES
from aiops.spec.suggest import did_you_mean, listed
from aiops.spec.urls import expand, normalise
from aiops.verify import discovery
from aiops.verify.check import Failed, Skipped
from aiops.verify.discovery import Report


def models_of(
    instance: Instance,
    kind: str,
    base_url: str | None,
    api_key_env: str | None,
    api_key_file: str | None,
    known: Sequence[str] = (),
) -> Report:
    """What a provider that is not configured yet says of the models beyond ``known``.

    Raises UsageError, or VerificationFailed when it does not list any.
    """
    if kind not in TYPES:
        raise UsageError(f"unknown provider type `{kind}`", did_you_mean(kind, TYPES, f"types: {listed(TYPES, 30)}"))
    environment = credentials.environment(instance)
    url = normalise(expand(base_url, environment)[0]) if base_url else None
    provider = Provider(name="it", type=kind, base_url=url, api_key_env=api_key_env, api_key_file=api_key_file)
    try:
        found = discovery.report(provider, provider_key(instance, provider))
    except (Failed, Skipped) as problem:
        raise VerificationFailed(
            f"its models could not be discovered: {problem}", "name them with --model, or mend the provider"
        ) from problem
    if not found.models and not known:
        raise VerificationFailed(
            f"{provider.discovery_url} lists no models", "load one there first, or name it with --model"
        )
    return replace(found, models=tuple(model for model in found.models if model.name not in known))


def report_of(instance: Instance, name: str) -> Report:
    """What a configured provider says. Raises UsageError for an unknown one, VerificationFailed with its reason."""
    provider = known(desired(instance), name)
    try:
        return discovery.report(provider, provider_key(instance, provider))
    except (Failed, Skipped) as problem:
        raise VerificationFailed(f"`{name}` does not say: {problem}", "nothing was changed") from problem
