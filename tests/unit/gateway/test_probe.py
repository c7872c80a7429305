"""A probe that fails a model on purpose fails it as often as LiteLLM tries, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from litellm.exceptions import InternalServerError

from aiops.gateway.worker import probe, probing


def call(group: str | None) -> None:
    """LiteLLM is about to ask a deployment of that group."""
    kwargs: dict[str, Any] = {"model": "openai/x", "metadata": {"model_group": group} if group else {}}
    asyncio.run(probe.instance.async_pre_call_deployment_hook(kwargs, None))


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_every_retry_of_the_model_fails_and_its_fallback_answers(retries: int) -> None:
    token = probing.current.set(probing.Probe(probing.FAIL))
    try:
        for _ in range(1 + retries):
            with pytest.raises(InternalServerError):
                call("alpha")
        call("beta")
    finally:
        probing.current.reset(token)


def test_without_a_group_only_the_first_call_fails() -> None:
    token = probing.current.set(probing.Probe(probing.FAIL))
    try:
        with pytest.raises(InternalServerError):
            call(None)
        call(None)
    finally:
        probing.current.reset(token)
