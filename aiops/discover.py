"""Asking a provider that is not configured yet which models it serves."""

from __future__ import annotations

from collections.abc import Sequence

from aiops.errors import UsageError, VerificationFailed
from aiops.host import credentials
from aiops.host.instance import Instance
from aiops.prover import provider_keys
from aiops.spec.model import Provider
from aiops.spec.provider_types import TYPES
from aiops.spec.suggest import did_you_mean, listed
from aiops.spec.urls import expand, normalise
from aiops.verify import providers
from aiops.verify.check import Failed, Skipped


def models_of(
    instance: Instance,
    kind: str,
    base_url: str | None,
    api_key_env: str | None,
    api_key_file: str | None,
    known: Sequence[str] = (),
) -> list[str]:
    """The models it lists beyond ``known``. Raises UsageError, or VerificationFailed when it does not list any."""
    if kind not in TYPES:
        raise UsageError(f"unknown provider type `{kind}`", did_you_mean(kind, TYPES, f"types: {listed(TYPES, 30)}"))
    environment = credentials.environment(instance)
    url = normalise(expand(base_url, environment)[0]) if base_url else None
    provider = Provider(name="it", type=kind, base_url=url, api_key_env=api_key_env, api_key_file=api_key_file)
    key = provider_keys(instance, [provider], environment).get("it")
    try:
        found = [model for model in providers.discover(provider, key) if model not in known]
    except (Failed, Skipped) as problem:
        raise VerificationFailed(
            f"its models could not be discovered: {problem}", "name them with --model, or mend the provider"
        ) from problem
    if not found and not known:
        raise VerificationFailed(
            f"{provider.discovery_url} lists no models", "load one there first, or name it with --model"
        )
    return found
