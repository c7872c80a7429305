"""The models of a generation without LiteLLM: what its configuration lists, and LiteLLM's file of prices.

Read once in the master and shared by the workers that it forks. Nothing here imports LiteLLM; what it says is what
LiteLLM's router would (a test compares them).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from aiops.gateway.worker import limits, places
from aiops.gateway.worker.price_map import PriceMap, known
from aiops.gateway.worker.prices import Prices
from aiops.state.counters.meters import Meter

REQUEST_SECONDS: Final = 600.0
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Listed:
    """Implements ``dispatch.Models``. ``models`` and ``fallbacks``: as LiteLLM's configuration has them.
    ``request_timeout``: seconds. ``known``: LiteLLM's map, with these models in it."""

    def __init__(
        self,
        models: Sequence[Mapping[str, Any]],
        fallbacks: Iterable[Mapping[str, Sequence[str]]],
        request_timeout: float = REQUEST_SECONDS,
    ) -> None:
        self._models = tuple(models)
        self.known = _Registered(known(), self._models)
        self.request_timeout = request_timeout
        self._fallbacks: dict[str, tuple[str, ...]] = {}
        for each in fallbacks:
            for name, others in each.items():
                self._fallbacks[name] = (*self._fallbacks.get(name, ()), *others)
        self._behind: dict[str, list[Mapping[str, Any]]] = {}
        for model in self._models:
            self._behind.setdefault(str(model["model_name"]), []).append(model)
        self._ids = frozenset(str(model["model_info"]["id"]) for model in self._models)

    @classmethod
    def read(cls, config: Path) -> Listed:
        """Of LiteLLM's configuration file. Raises OSError, ValueError."""
        try:
            data = yaml.load(config.read_bytes(), _LOADER)  # noqa: S506 — the C twin of the safe loader
            settings = data.get("litellm_settings") or {}
            return cls(
                data.get("model_list") or (),
                (data.get("router_settings") or {}).get("fallbacks") or (),
                float(settings.get("request_timeout", REQUEST_SECONDS)),
            )
        except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{config} is damaged: {error}") from error

    @property
    def names(self) -> tuple[str, ...]:
        """Each once, in the order of the configuration."""
        return tuple(self._behind)

    def knows(self, name: str) -> bool:
        """Models, ids of deployments, and several with commas between them."""
        parts = [part.strip() for part in name.split(",")]
        return all(part in self._behind or part in self._ids for part in parts)

    def deployments(self) -> frozenset[str]:
        """The id of each."""
        return self._ids

    def provider(self, name: str) -> str | None:
        """Who answers a plain name first; None when it is not known."""
        behind = self.behind(name)
        return behind[0]["model_info"].get("provider") if behind else None

    def behind(self, name: str) -> Sequence[Mapping[str, Any]]:
        """What the configuration says of each deployment of a plain name."""
        return self._behind.get(name, ())

    def fallbacks(self, name: str) -> tuple[str, ...]:
        return self._fallbacks.get(name, ())

    def places(self) -> dict[str, str]:
        """What each provider is called where others listen."""
        return places.places(self._models)

    def limited(self) -> dict[str, tuple[Meter, ...]]:
        """The meters of each deployment that has some."""
        return limits.limited(self._models)

    def prices(self, free: Iterable[str] | None) -> Prices:
        """Of all deployments; ``free``: providers that send no bill."""
        return Prices(self._models, free, self.known)

    def definitions(self) -> dict[str, str]:
        """By the id of each deployment all that says how it is asked, but for its key."""
        params = {str(one["model_info"]["id"]): {**one["litellm_params"], "api_key": None} for one in self._models}
        return {id: json.dumps(said, sort_keys=True, default=str) for id, said in params.items()}


class _Registered:
    """The map as it is when LiteLLM's router has entered its deployments: what it asks a provider for is there by that
    provider's name, and without a price where the map has none of this provider."""

    def __init__(self, known: PriceMap, models: Iterable[Mapping[str, Any]]) -> None:
        self._known = known
        self._entered = frozenset(str(model["litellm_params"]["model"]) for model in models)

    def get(self, name: str, /) -> Mapping[str, Any] | None:
        found = self._known.get(name)
        if found is not None or name not in self._entered:
            return found
        provider, _, asked = name.partition("/")
        entry = self._known.get(asked) or {}
        # Such as bedrock_converse and vertex_ai-language-models.
        whose = str(entry.get("litellm_provider")).removesuffix("_converse").partition("-")[0]
        return entry if whose == provider else {}
