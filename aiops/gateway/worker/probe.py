"""Probes in LiteLLM: its documented deployment hook, steered by what ``probing`` knows of the request."""

from __future__ import annotations

from typing import Any

from litellm.exceptions import InternalServerError
from litellm.integrations.custom_logger import CustomLogger

from aiops.gateway.worker import probing
from aiops.gateway.worker.probing import FAIL, MARKER, MOCK, MOCK_ANSWER


class ProbeHook(CustomLogger):  # type: ignore[misc]  # LiteLLM is not followed by the type checker
    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """Called when a deployment has been chosen and before its provider is."""
        probe = probing.current.get()
        if probe is None:
            return None
        probe.fired += 1
        if probe.mode == MOCK:
            kwargs["mock_response"] = MOCK_ANSWER
            return kwargs
        if probe.fired == 1:
            probe.group = _group(kwargs)
        # With `gateway.retries` LiteLLM asks the same again before any fallback: that has to fail too.
        again = probe.group is not None and _group(kwargs) == probe.group
        if probe.mode == FAIL and (probe.fired == 1 or again):
            raise InternalServerError(message=MARKER, model=str(kwargs.get("model")), llm_provider="")
        return None


def _group(kwargs: dict[str, Any]) -> str | None:
    """The name by which LiteLLM's router was asked for the deployment; a fallback has another one."""
    for key in ("litellm_metadata", "metadata"):
        found = kwargs.get(key)
        if isinstance(found, dict) and isinstance(found.get("model_group"), str):
            return str(found["model_group"])
    return None


instance = ProbeHook()
