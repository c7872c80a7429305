"""What a token costs, for each deployment: what the operator wrote, else what LiteLLM's map says; own servers are free.

Resolved once at the start of a worker; nothing here imports LiteLLM.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiops.spec.routes.deployments import ANY_MODEL
from aiops.spec.shapes.urls import is_local
from aiops.state.money import NANO

_ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
CLOUD_OF_OLLAMA = ("-cloud", ":cloud")


@dataclass(frozen=True)
class Tokens:
    """Of one request. ``cached`` were read from the provider's cache and ``written`` put there; both are in
    ``prompt``."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    written: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion


@dataclass(frozen=True)
class Price:
    """Nano-dollars per token. For prompts of more than ``long`` tokens the prices are ``above`` instead."""

    prompt: float
    completion: float
    cached: float
    written: float
    long: int = 0
    above: Price | None = None

    def cost(self, tokens: Tokens) -> int:
        """Nano-dollars, the half to the even one."""
        if self.above is not None and tokens.prompt > self.long:
            return self.above.cost(tokens)
        plain = max(0, tokens.prompt - tokens.cached - tokens.written)
        return round(
            plain * self.prompt
            + tokens.cached * self.cached
            + tokens.written * self.written
            + tokens.completion * self.completion
        )


FREE = Price(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Deployment:
    """``model``: what its provider calls it, None for whatever was asked for; ``max_output_tokens``: of one answer,
    None where nobody says."""

    id: str
    name: str
    provider: str
    model: str | None
    price: Price | None
    max_output_tokens: int | None


@dataclass(frozen=True)
class Ways:
    """Where a name leads to: the ids of ``deployments`` where a rule says so, and the names tried after them."""

    deployments: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()


class Known(Protocol):
    """LiteLLM's map: name of a model -> what is known of it."""

    def get(self, name: str, /) -> Mapping[str, Any] | None: ...


class Prices:
    """Of all deployments of a generation. ``free``: providers that send no bill; None: by where they stand, for
    generations that do not say. ``any_model``: what stands for a model that is passed on by its name."""

    def __init__(
        self,
        models: Iterable[Mapping[str, Any]],
        free: Iterable[str] | None,
        known: Known,
        any_model: str = ANY_MODEL,
    ) -> None:
        self._free = None if free is None else frozenset(free)
        self._known = known
        self._by_id: dict[str, Deployment] = {}
        self._by_name: dict[str, list[Deployment]] = {}
        self._raw: dict[str, Mapping[str, Any]] = {}
        for model in models:
            deployment = self._resolve(model, any_model)
            self._by_id[deployment.id] = deployment
            self._by_name.setdefault(deployment.name, []).append(deployment)
            if deployment.model is None:
                self._raw[deployment.id] = model

    def deployment(self, id: str) -> Deployment | None:
        return self._by_id.get(id)

    def of(self, deployment: Deployment, name: str) -> Price | None:
        """What it costs there; ``name``: the model that is asked for, where it is passed on. None: nobody knows."""
        if deployment.price is not None or deployment.model is not None:
            return deployment.price
        raw = self._raw[deployment.id]
        prefix = str(raw["litellm_params"]["model"]).partition("/")[0]
        return self._look_up(raw, prefix, name)

    def answering(self, name: str, ids: Iterable[str] = ()) -> tuple[Deployment, ...]:
        """Those that a name leads to: ``ids`` where a rule says so, else those that LiteLLM serves it with."""
        found = [self._by_id[id] for id in ids if id in self._by_id]
        if not found:
            found = self._by_name.get(name) or ([self._by_id[name]] if name in self._by_id else [])
        return tuple(found)

    def _resolve(self, model: Mapping[str, Any], any_model: str) -> Deployment:
        info, params = model.get("model_info") or {}, model["litellm_params"]
        prefix, _, asked = str(params["model"]).partition("/")
        passes = asked == any_model
        entry = None if passes else self._entry(prefix, asked, info)
        most = info.get("max_output_tokens") or (entry or {}).get("max_output_tokens")
        return Deployment(
            id=str(info.get("id", model["model_name"])),
            name=str(model["model_name"]),
            provider=str(info.get("provider", "")),
            model=None if passes else asked or prefix,
            price=_written(info) if passes else self._look_up(model, prefix, asked),
            max_output_tokens=most if isinstance(most, int) else None,
        )

    def _look_up(self, model: Mapping[str, Any], prefix: str, asked: str) -> Price | None:
        info, params = model.get("model_info") or {}, model["litellm_params"]
        written = _written(info)
        if written is not None:
            return written
        provider = info.get("provider")
        passed_on = prefix.startswith("ollama") and asked.endswith(CLOUD_OF_OLLAMA)
        base = params.get("api_base")
        is_free = (base is not None and is_local(str(base))) if self._free is None else provider in self._free
        if is_free and not passed_on:
            return FREE
        entry = self._entry(prefix, asked, info)
        return None if entry is None else _written(entry)

    def _entry(self, prefix: str, asked: str, info: Mapping[str, Any]) -> Mapping[str, Any] | None:
        for name in (info.get("base_model"), f"{prefix}/{asked}", asked):
            entry = self._known.get(name) if name else None
            if entry is not None:
                return entry
        return None


def dearest(prices: Iterable[Price | None], tokens: Tokens) -> int | None:
    """The most that ``tokens`` may cost; None when a price is not known, or there is none at all."""
    costs = [None if price is None else price.cost(tokens) for price in prices]
    return None if not costs or None in costs else max(cost for cost in costs if cost is not None)


def _written(info: Mapping[str, Any]) -> Price | None:
    """Of ``model_info``, or of an entry of LiteLLM's map: US dollars per token. What LiteLLM adds to its map itself
    has every key, and None where nothing is known."""
    prompt = _number(info, "input_cost_per_token")
    if prompt is None:
        return None
    completion = _number(info, "output_cost_per_token")
    price = _price(info, prompt, completion, "")
    for key in info:
        above = _ABOVE.fullmatch(key)
        longer = _number(info, key) if above else None
        if above and longer is not None:
            ending = f"_above_{above[1]}k_tokens"
            answers = _number(info, f"output_cost_per_token{ending}")
            more = _price(info, longer, completion if answers is None else answers, ending)
            return Price(price.prompt, price.completion, price.cached, price.written, int(above[1]) * 1000, more)
    return price


def _price(info: Mapping[str, Any], prompt: float, completion: float | None, ending: str) -> Price:
    cached = _number(info, f"cache_read_input_token_cost{ending}")
    written = _number(info, f"cache_creation_input_token_cost{ending}")
    return Price(
        prompt=prompt * NANO,
        completion=(completion or 0.0) * NANO,
        cached=(prompt if cached is None else cached) * NANO,
        written=(prompt if written is None else written) * NANO,
    )


def _number(info: Mapping[str, Any], key: str) -> float | None:
    found = info.get(key)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None
