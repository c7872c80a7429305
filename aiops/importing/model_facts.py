"""What a deployment says of its model (``model_info``, and prices beside its parameters) -> keys of the model."""

from __future__ import annotations

from typing import Any

from aiops.importing.deployments import Deployment
from aiops.importing.numbers import number, whole
from aiops.importing.report import Ledger

_DOCUMENTED = ("description", "notes", "size", "quantization", "specialty")
_LIMITS = {"max_input_tokens": "context_length", "max_output_tokens": "max_output_tokens"}
_SUPPORTS = {f"supports_{name}": name for name in ("reasoning", "vision", "function_calling")}
PRICES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached",
}
"""LiteLLM's name of a price per token -> what it is the price of."""


def facts_of(deployment: Deployment, ledger: Ledger) -> dict[str, Any]:
    """Given a deployment, judge all that is said of its model and return it as its provider lists it."""
    facts: dict[str, Any] = {}
    for key, value in deployment.info.items():
        path = (*deployment.path, "model_info", key)
        if key == "mode":
            ledger.translated(path, "a model says it itself here", "models[].mode")
        elif key == "id":
            ledger.dropped(path, "a deployment's id is made from what it is, the same on every machine")
        elif key in _LIMITS and (whole(value) or 0) > 0:
            facts[_LIMITS[key]] = value
            ledger.translated(path, f"called `{_LIMITS[key]}` here", f"models[].{_LIMITS[key]}")
        elif key in _SUPPORTS and isinstance(value, bool):
            facts.setdefault("supports", {})[_SUPPORTS[key]] = value
            ledger.translated(path, "below `supports` here", f"models[].supports.{_SUPPORTS[key]}")
        elif key == "base_model" and isinstance(value, str):
            facts[key] = value
            ledger.translated(path, "of which LiteLLM knows the prices and limits", "models[].base_model")
        elif key in _DOCUMENTED and isinstance(value, str):
            facts[key] = value
            ledger.documentation(path, to="the model")
        elif key in PRICES or key in ("rpm", "tpm"):
            ledger.kept(path)
        else:
            ledger.documentation(path, "shown by LiteLLM only; write it as `notes` of the model to keep it")
    return facts | _prices(deployment, ledger)


def _prices(deployment: Deployment, ledger: Ledger) -> dict[str, Any]:
    found: dict[str, float] = {}
    for section, values in (("litellm_params", deployment.params), ("model_info", deployment.info)):
        for key, kind in PRICES.items():
            if key not in values:
                continue
            path, cost = (*deployment.path, section, key), _cost(values[key])
            if cost is None or cost < 0:
                ledger.decide(path, "a price is a number of at least 0")
            else:
                found.setdefault(kind, round(cost * 1000, 9))
                ledger.translated(path, "per 1,000 tokens here", "models[].cost_per_1k_tokens")
    if not found:
        return {}
    prices = {"input": found.get("input", 0.0), "output": found.get("output", 0.0)}
    if "cached" not in found and prices["input"] == prices["output"]:
        return {"cost_per_1k_tokens": prices["input"]}
    return {"cost_per_1k_tokens": prices | ({"cached": found["cached"]} if "cached" in found else {})}


def _cost(value: Any) -> int | float | None:
    """Prices like ``5e-8`` are text to a reader of YAML 1.1, for which they were written."""
    try:
        return number(float(value)) if isinstance(value, str) else number(value)
    except ValueError:
        return None
