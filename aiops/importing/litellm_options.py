"""What else a deployment is written with -> options, under the name by which its model is asked for."""

from __future__ import annotations

from typing import Any

from aiops.importing.deployments import Deployment
from aiops.importing.keys import Secrets
from aiops.importing.litellm_keys import DEPLOYMENT, is_own
from aiops.importing.model_facts import PRICES
from aiops.importing.options import options_of
from aiops.importing.report import Ledger
from aiops.spec.load.screen import holds_secret, is_secret
from aiops.spec.shapes.option_tables import HANDLING, OPTIONS
from aiops.spec.shapes.options import check_options
from aiops.spec.shapes.reference import REFERENCE

_ELSEWHERE = frozenset(
    (
        *("model", "api_base", "base_url", "api_key", "custom_llm_provider", "weight", "rpm", "tpm", "order"),
        *("max_parallel_requests", *PRICES),
    )
)
_SAME = {"headers": "extra_headers", "region_name": "aws_region_name", "request_timeout": "timeout"}


class Options:
    """Reads the options of deployments, and keeps what is secret in them."""

    def __init__(self, ledger: Ledger, secrets: Secrets) -> None:
        self.ledger, self.secrets = ledger, secrets

    def of(self, deployment: Deployment) -> dict[str, Any]:
        """The options it stands for; each of its parameters is judged."""
        table = options_of(deployment.type)
        found: dict[str, Any] = {}
        for key, value in deployment.params.items():
            if key in _ELSEWHERE:
                continue
            path = (*deployment.path, "litellm_params", key)
            option = table.get(key) or (table.get(_SAME[key]) if key in _SAME else None)
            if option is not None:
                self._option(found, deployment, key, option, value)
            elif key in DEPLOYMENT:
                self.ledger.decide(path, DEPLOYMENT[key])
            elif is_own(key):
                self.ledger.decide(path, "LiteLLM's own, never sent to a provider; aiops has nothing like it")
            elif holds_secret(key) or is_secret(str(value)):
                self.ledger.decide(path, "aiops has nothing that would use it; the value was not copied")
            elif "extra_body" in table and isinstance(value, bool | int | float | str | tuple | dict):
                found["extra_body"] = {**found.get("extra_body", {}), key: value}
                self.ledger.translated(path, "sent with every request, as before", "options.extra_body")
            else:
                self.ledger.decide(path, f"no option of a provider of type {deployment.type} is called that")
        return found

    def _option(self, found: dict[str, Any], deployment: Deployment, key: str, option: str, value: Any) -> None:
        path = (*deployment.path, "litellm_params", key)
        kind = OPTIONS[deployment.type][option].kind
        if kind == "texts" and isinstance(value, str):
            value = (value,)
        if kind == "secret" and isinstance(value, str) and not REFERENCE.fullmatch(value):
            name = self.secrets.keep(key.upper(), value)
            self.ledger.translated(path, "a secret in clear: moved out of the file", f"secrets/env: {name}")
            found[option] = f"os.environ/{name}"
            return
        if kind == "mapping" and isinstance(value, dict):
            value = {name: self._hidden(name, item) for name, item in value.items()}
        where, modes = (*deployment.path, "litellm_params"), [deployment.mode]
        document = self.ledger.document
        problem = next(check_options(document, where, deployment.type, {option: value}, modes, of_model=True), None)
        if problem is not None:
            said = problem.message.partition("` ")[2] or problem.message.partition("`: ")[2]
            self.ledger.decide(path, said + (f" ({problem.hint})" if problem.hint else ""))
            return
        if option == "extra_body":
            value = {**found.get("extra_body", {}), **value}
        found[option] = value
        why = (
            "LiteLLM's handling of requests, as before" if option in HANDLING else "sent with every request, as before"
        )
        self.ledger.translated(path, why, f"options.{option}")

    def _hidden(self, name: str, value: Any) -> Any:
        """A header that holds a key refers to it from now on."""
        if isinstance(value, str) and not REFERENCE.fullmatch(value) and (holds_secret(name) or is_secret(value)):
            variable = self.secrets.keep("".join(c if c.isalnum() else "_" for c in name.upper()), value)
            return f"os.environ/{variable}"
        return value
