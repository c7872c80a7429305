"""LiteLLM's own limits of requests and tokens in a minute, which proofs do not use up."""

from __future__ import annotations

from typing import Any

import litellm
from litellm.router_utils.pre_call_checks.model_rate_limit_check import ModelRateLimitingCheck

from aiops.gateway.worker import probe


class Limits(ModelRateLimitingCheck):  # type: ignore[misc]  # LiteLLM is not followed by the type checker
    """The same for everybody else."""

    async def async_pre_call_check(self, deployment: Any, parent_otel_span: Any = None) -> Any:
        """Called when a deployment has been chosen. Raises LiteLLM's RateLimitError."""
        return deployment if probe.proof.get() else await super().async_pre_call_check(deployment, parent_otel_span)

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        if not probe.proof.get():
            await super().async_log_success_event(kwargs, response_obj, start_time, end_time)


def spare_proofs() -> None:
    """Take the place of the check that ``enforce_model_rate_limits`` put among the callbacks, before any request."""
    for place, callback in enumerate(litellm.callbacks):
        if type(callback) is ModelRateLimitingCheck:
            litellm.callbacks[place] = Limits(callback.dual_cache)
