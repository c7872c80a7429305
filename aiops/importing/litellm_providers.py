"""The providers that the deployments of a LiteLLM configuration stand for, with the models that they list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.importing.deployments import Deployment, where
from aiops.importing.keys import Clear, Reference, Secrets, variable
from aiops.importing.model_facts import facts_of
from aiops.importing.numbers import whole
from aiops.importing.report import Ledger
from aiops.importing.written import Written
from aiops.spec.shapes.provider_types import TYPES
from aiops.spec.shapes.urls import REFERENCE, expand, normalise, place
from aiops.spec.sources import PROVIDERS
from aiops.spec.yaml.yaml12 import Path


class Homes:
    """The providers of a configuration, each with a name of its own, and the models each of them lists.

    ``env``: the variables that addresses may refer to.
    """

    def __init__(self, written: Written, ledger: Ledger, secrets: Secrets, env: Mapping[str, str]) -> None:
        self.written, self.ledger, self.secrets, self.env = written, ledger, secrets, env
        self.names: dict[object, str] = {}
        self.listed: dict[tuple[str, str], dict[str, Any]] = {}
        self.users: dict[tuple[str, str], list[Deployment]] = {}
        self.servers: dict[object, str] = {}
        self._homes: dict[Path, str] = {}

    def add(self, deployment: Deployment, *, apart: int = 0) -> None:
        """Put a deployment where it belongs. ``apart``: in the how-manieth provider of the same place, from 0."""
        name = self._home(deployment, apart)
        self._homes[deployment.path] = name
        entry = self.written.providers[name]
        facts = facts_of(deployment, self.ledger)
        if "*" in deployment.backend:
            return self._limit(deployment, entry)
        listed = entry.setdefault("models", [])
        key = (name, deployment.backend)
        known = self.listed.get(key)
        if known is None:
            known = self.listed[key] = {"name": deployment.backend}
            if deployment.mode != "chat":
                known["mode"] = deployment.mode
            known |= facts
            self.written.origins[(PROVIDERS, ("providers", name, "models", len(listed)))] = deployment.path
            listed.append(known)
        else:
            self._differences(deployment, known, facts)
        self.users.setdefault(key, []).append(deployment)
        return self._limit(deployment, entry)

    def of(self, deployment: Deployment) -> str:
        """The name of its provider."""
        return self._homes[deployment.path]

    def model(self, deployment: Deployment) -> dict[str, Any]:
        """The model it asks for, as its provider lists it."""
        return self.listed[(self.of(deployment), deployment.backend)]

    def is_alone(self, deployment: Deployment) -> bool:
        """Whether nothing else asks its provider for that model."""
        return len(self.users.get((self.of(deployment), deployment.backend), ())) == 1

    def forget_unasked(self) -> None:
        """Take out again, with their keys, the providers of which nothing is asked: only names with `*` led to them."""
        providers, variables = self.written.providers, self._variables()
        used = {self.written.mappings.get("routing_rules", {}).get("default_provider")}
        used |= {rule["provider"] for rule in self.written.mappings.get("patterns", ())}
        for name in [name for name, entry in providers.items() if not entry.get("models") and name not in used]:
            del providers[name]
        for entry in providers.values():  # the first of a server may be gone
            if entry.get("same_server_as", entry["type"]) not in {*providers, entry["type"]}:
                del entry["same_server_as"]
        for unused in variables - self._variables():
            self.secrets.env.pop(unused, None)

    def _home(self, deployment: Deployment, apart: int) -> str:
        known = self.names.get((deployment.place, apart))
        if known is not None:
            self._judge_key(deployment, self.written.providers[known].get("api_key_env"))
            return known
        name = _free_name(deployment, self.written.providers)
        self.names[(deployment.place, apart)] = name
        entry: dict[str, Any] = {"type": deployment.type}
        if deployment.base_url is not None:
            entry["base_url"] = deployment.base_url
            if deployment.exact:
                entry["exact_url"] = True
            self._same_server(deployment, name, entry)
        entry["status"] = "active"
        if isinstance(deployment.key, Reference):
            entry["api_key_env"] = deployment.key.name
        elif isinstance(deployment.key, Clear):
            entry["api_key_env"] = self.secrets.keep(variable(name), deployment.key.value)
        self._judge_key(deployment, entry.get("api_key_env"))
        self.written.providers[name] = entry
        self.written.origins[(PROVIDERS, ("providers", name))] = deployment.path
        return name

    def _same_server(self, deployment: Deployment, name: str, entry: dict[str, Any]) -> None:
        """Another way to a server that is there already: with another key, another type, another spelling."""
        if deployment.base_url is None or TYPES[deployment.type].cloud:
            return
        url, missing = expand(deployment.base_url, self.env)
        at: object = url
        if not missing and not REFERENCE.search(url):
            try:
                at = place(normalise(url))[:2]
            except ValueError:
                return  # `load` says what is wrong with it
        first = self.servers.setdefault(at, name)
        if first != name:
            entry["same_server_as"] = first

    def _differences(self, deployment: Deployment, known: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Of one model of one provider there is one description."""
        for key, value in facts.items():
            if known.get(key) != value:
                path = (*deployment.path, "model_info")
                why = f"`{deployment.backend}` was described otherwise before, which counts: `{key}` differs"
                self.ledger.decide(path, why)

    def _limit(self, deployment: Deployment, entry: dict[str, Any]) -> None:
        path = (*deployment.path, "litellm_params", "max_parallel_requests")
        if "max_parallel_requests" not in deployment.params:
            return
        most = whole(deployment.params["max_parallel_requests"]) or 0
        if most > 0:
            entry["max_parallel"] = max(entry.get("max_parallel", 0), most)
            why = "what routing by load reckons with, of the whole provider; LiteLLM refused more with a 429"
            self.ledger.translated(path, why, "max_parallel")
        else:
            self.ledger.decide(path, "requests at a time are a whole number above 0")

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
            self.ledger.dropped(path, "the same is sent where a provider has no key")


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
