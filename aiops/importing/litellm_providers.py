"""The providers that the deployments of a LiteLLM configuration stand for, with the models that they list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.importing.deployments import Deployment, where
from aiops.importing.keys import Clear, Reference, Secrets, variable
from aiops.importing.litellm_keys import DEPLOYMENT
from aiops.importing.numbers import number, whole
from aiops.importing.options import options_of
from aiops.importing.report import Ledger
from aiops.importing.written import Written
from aiops.spec.sources import PROVIDERS

_DOCUMENTED = ("description", "notes", "size", "quantization", "specialty")


class Homes:
    """The providers of a configuration, each with a name of its own."""

    def __init__(self, written: Written, ledger: Ledger, secrets: Secrets) -> None:
        self.written, self.ledger, self.secrets = written, ledger, secrets
        self.names: dict[object, str] = {}
        self.listed: dict[tuple[str, str], dict[str, Any]] = {}

    def add(self, deployment: Deployment) -> None:
        """Put a deployment where it belongs."""
        providers, file = self.written.providers, PROVIDERS
        name = self.of(deployment)
        entry = providers[name]
        model = _model(deployment, self.ledger)
        if not deployment.wildcard:
            listed = entry.setdefault("models", [])
            same = self.listed.setdefault((name, model["name"]), model)
            if same is model:
                self.written.origins[(file, ("providers", name, "models", len(listed)))] = deployment.path
                listed.append(model)
            model = same
        _rest(deployment, self.ledger, entry, model)

    def of(self, deployment: Deployment) -> str:
        """The provider's name; the provider is made the first time."""
        known = self.names.get(deployment.place)
        if known is not None:
            self._judge_key(deployment, self.written.providers[known].get("api_key_env"))
            return known
        name = _free_name(deployment, self.written.providers)
        self.names[deployment.place] = name
        entry: dict[str, Any] = {"type": deployment.type}
        if deployment.base_url is not None:
            entry["base_url"] = deployment.base_url
        entry["status"] = "active"
        if isinstance(deployment.key, Reference):
            entry["api_key_env"] = deployment.key.name
        elif isinstance(deployment.key, Clear):
            entry["api_key_env"] = self.secrets.keep(variable(name), deployment.key.value)
        self._judge_key(deployment, entry.get("api_key_env"))
        self.written.providers[name] = entry
        self.written.origins[(PROVIDERS, ("providers", name))] = deployment.path
        return name

    def forget_unasked(self) -> None:
        """Take out again, with their keys, the providers of which nothing is asked: only names with `*` led to them."""
        providers, variables = self.written.providers, self._variables()
        default = self.written.mappings.get("routing_rules", {}).get("default_provider")
        for name in [name for name, entry in providers.items() if not entry.get("models") and name != default]:
            del providers[name]
        for unused in variables - self._variables():
            self.secrets.env.pop(unused, None)

    def _variables(self) -> set[str]:
        """The environment variables that hold the providers' keys."""
        return {entry["api_key_env"] for entry in self.written.providers.values() if "api_key_env" in entry}

    def _judge_key(self, deployment: Deployment, name: str | None) -> None:
        path = (*deployment.path, "litellm_params", "api_key")
        if isinstance(deployment.key, Clear):
            self.ledger.translated(path, "a key in clear: moved out of the file", f"secrets/env: {name}")
        elif deployment.key is not None:
            self.ledger.translated(path, "a reference to the environment is `api_key_env` here", "api_key_env")
        else:
            self.ledger.dropped(path, "it stands for no key, and a provider without one needs no word for it")


def _free_name(deployment: Deployment, taken: Mapping[str, Any]) -> str:
    """The type; with the host, the port, or a number when that is taken."""
    host, port = where(deployment.base_url or "")
    names = [deployment.type]
    if host and host not in ("127.0.0.1", "localhost", "0.0.0.0"):  # noqa: S104 — compared, not bound
        names.append(f"{deployment.type}-{host.replace(':', '-')}"[:56])
    if port:
        names.append(f"{names[-1]}-{port}")
    count = 2
    while all(name in taken for name in names):
        names.append(f"{deployment.type}-{count}")
        count += 1
    return next(name for name in names if name not in taken)


def _model(deployment: Deployment, ledger: Ledger) -> dict[str, Any]:
    """The model as its provider lists it, with what ``model_info`` says of it."""
    model: dict[str, Any] = {"name": deployment.backend}
    if deployment.mode != "chat":
        model["mode"] = deployment.mode
    for key, value in deployment.info.items():
        path = (*deployment.path, "model_info", key)
        if key == "mode":
            ledger.translated(path, "a model says it itself here", "models[].mode")
        elif key == "id":
            ledger.dropped(path, "a deployment's id is made from what it is, the same on every machine")
        elif key == "max_input_tokens" and isinstance(value, int):
            model["context_length"] = value
            ledger.translated(path, "called `context_length` here", "models[].context_length")
        elif key in _DOCUMENTED and isinstance(value, str):
            model[key] = value
            ledger.documentation(path, to="the model")
        elif key == "input_cost_per_token" and (cost := number(value)) is not None:
            model["cost_per_1k_tokens"] = round(cost * 1000, 9)
            ledger.translated(path, "per 1,000 tokens here", "models[].cost_per_1k_tokens")
        elif key in ("rpm", "tpm"):
            ledger.kept(path)
        else:
            ledger.documentation(path, "shown by LiteLLM only; write it as `notes` of the model to keep it")
    return model


def _rest(deployment: Deployment, ledger: Ledger, entry: dict[str, Any], model: dict[str, Any]) -> None:
    """What else stands beside the model: options, limits, and keys in the wrong place."""
    options = options_of(deployment.type)
    params = (*deployment.path, "litellm_params")
    for key in deployment.extra:
        path = (*params, key)
        if key in ("model", "api_base", "base_url", "api_key", "custom_llm_provider", "weight", "rpm", "tpm", "order"):
            continue
        if key == "max_parallel_requests":
            most = whole(deployment.extra[key]) or 0
            if most > 0:
                entry["max_parallel"] = max(entry.get("max_parallel", 0), most)
                ledger.translated(path, "of the whole provider here", "max_parallel")
            else:
                ledger.decide(path, "requests at a time are a whole number above 0")
        elif (option := options.get(key)) is not None:
            model.setdefault("options", {})[option] = deployment.extra[key]
            ledger.translated(path, "an option of the model", f"models[].options.{option}")
        elif key in DEPLOYMENT:
            ledger.decide(path, DEPLOYMENT[key])
        else:
            ledger.decide(path, "was sent with every request; no option of this type of provider is called that")
    ledger.kept((*deployment.path, "model_name"))
    for key in ("rpm", "tpm"):
        where = (*deployment.path, key)
        ledger.dropped(where, f"LiteLLM reads `{key}` below `litellm_params` only: here it never had an effect")
