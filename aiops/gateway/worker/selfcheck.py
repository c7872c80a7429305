"""Proof, at worker start, that every hook aiops relies on in LiteLLM really fires. It also warms the worker.

A worker that fails here never becomes ready: a gateway whose authentication hook was silently not installed
would answer everybody.
"""

from __future__ import annotations

from typing import Any

import httpx

from aiops.gateway.worker import auth, probing, routing
from aiops.gateway.worker.settings import MASTER_KEY_VARIABLE, Settings
from aiops.spec.choosing.rules import RoutingTable

WARM_SECONDS = 30.0


class HookMissing(RuntimeError):
    """Something aiops relies on in LiteLLM is not there in this release."""


async def prove(application: Any, environment: dict[str, str], settings: Settings) -> None:
    """Run the checks in-process, before any socket is open. Raises HookMissing naming the hook."""
    probing.private.set(True)
    probing.proof.set(True)
    key = {"authorization": f"Bearer {environment[MASTER_KEY_VARIABLE]}"}
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://self", timeout=WARM_SECONDS) as client:
        before = auth.calls
        listed = await client.get("/v1/models", headers=key)
        if auth.calls == before:
            raise HookMissing("LiteLLM did not call the custom_auth hook")
        if listed.status_code != 200:
            raise HookMissing(f"the master key was refused with HTTP {listed.status_code}")
        for headers in ({}, {"authorization": "Bearer sk-not-the-key"}):
            refused = await client.get("/v1/models", headers=headers)
            if refused.status_code != 401:
                raise HookMissing(f"a request without a valid key was answered with HTTP {refused.status_code}")
        if settings.probe_model is not None:
            await _warm(client, key, settings.probe_model)
        if settings.routing is not None:
            await _prove_routing(client, key, settings.routing, warmed=settings.probe_model is not None)


async def _prove_routing(client: httpx.AsyncClient, key: dict[str, str], table: RoutingTable, *, warmed: bool) -> None:
    """The warming requests went through both hooks, and LiteLLM serves a name that the hook has to translate."""
    hook = routing.instance
    if warmed and not (hook.seen and hook.asked):
        raise HookMissing("LiteLLM did not call the routing hooks")
    for name in list(table.names)[:1]:
        # Proves that LiteLLM takes the id of a deployment for the name of a model.
        before = hook.routed
        await _warm(client, key, name)
        if hook.routed == before:
            raise HookMissing(f"a request for `{name}` was not routed")


async def _warm(client: httpx.AsyncClient, key: dict[str, str], model: str) -> None:
    """Run the whole request path once, plain and streamed, up to the point where the provider would be called."""
    for stream in (False, True):
        asked = probing.Probe(probing.MOCK)
        probing.current.set(asked)
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        answer = await client.post("/v1/chat/completions", headers=key, json=body)
        probing.current.set(None)
        if not asked.fired:
            raise HookMissing("LiteLLM did not call the deployment hook")
        if answer.status_code != 200 or probing.MOCK_ANSWER not in answer.text:
            raise HookMissing(f"a mocked completion was answered with HTTP {answer.status_code}: {answer.text[:200]}")
