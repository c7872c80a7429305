"""Probes that only aiops may ask for: LiteLLM's documented deployment hook, steered by a private request header.

``x-aiops-probe: fail`` makes the deployment of the requested model fail at the very point where its provider
would be called, so that the fallback really answers, through LiteLLM's own machinery: that is how a fallback is
proved without taking a provider down. ``x-aiops-probe: mock`` answers without a provider, to warm a worker.

The header counts on the worker's private unix socket only. From the public socket it has no meaning.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from litellm.exceptions import InternalServerError
from litellm.integrations.custom_logger import CustomLogger

HEADER = b"x-aiops-probe"
FAIL, MOCK = "fail", "mock"
MARKER = "aiops-probe"
MOCK_ANSWER = "ok"


@dataclass
class Probe:
    """What is asked of one request; ``fired`` proves that LiteLLM called the hook. ``group``: what was asked for."""

    mode: str
    fired: int = 0
    group: str | None = None


private: ContextVar[bool] = ContextVar("aiops_private", default=False)
"""True while a request of aiops itself is answered: from the self-check, or from the private unix socket."""

proof: ContextVar[bool] = ContextVar("aiops_proof", default=False)
"""The same, and also of one that came by the public port with the mark of a proof."""

current: ContextVar[Probe | None] = ContextVar("aiops_probe", default=None)


LOGGERS = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")


def quiet(record: logging.LogRecord) -> bool:
    """A logging filter: what is proved may fail, on purpose or not, and whoever has it proved is told by the proof."""
    return not proof.get()


class ProbeHook(CustomLogger):  # type: ignore[misc]  # LiteLLM is not followed by the type checker
    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """Called when a deployment has been chosen and before its provider is."""
        probe = current.get()
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
