"""Routing in the running gateway: LiteLLM's documented hooks, between a request and the deployments that may answer.

Before LiteLLM looks for the model, ``async_pre_call_hook`` replaces the requested name by the deployment that is
chosen, and says which are tried after it: both by names LiteLLM's router knows, so that calling, failing over and
counting limits stay LiteLLM's. The deployment hooks then tell the board who was asked and how that ended.
docs/decisions/0016 says why it is done this way.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server
from litellm.proxy._types import ProxyException
from litellm.proxy.route_llm_request import ProxyModelNotFoundError
from litellm.router_utils.pre_call_checks.model_rate_limit_check import ModelRateLimitingCheck

from aiops.gateway.worker import call, failure, limits, patience, places, probing, unrouted
from aiops.gateway.worker.board import BROKE_OFF
from aiops.gateway.worker.dispatch import Dispatch
from aiops.gateway.worker.front import let_in
from aiops.gateway.worker.prices import Prices
from aiops.gateway.worker.queue import TurnedAway
from aiops.spec.names import HIDDEN
from aiops.spec.shapes.provider_types import TYPES
from aiops.state import rules
from aiops.state.counters.meters import Meter

log = logging.getLogger("aiops.routing")
PREFIXES = {
    "embedding": {kind.prefix: kind.prefix_for("embedding") for kind in TYPES.values()},
    "text_completion": {kind.prefix: kind.prefix_for("completion") for kind in TYPES.values()},
}
"""By the end of LiteLLM's name for a call: its provider for chat -> its provider for such a call."""


class RoutingHook(CustomLogger):  # type: ignore[misc]  # LiteLLM is not followed by the type checker
    """``seen``, ``routed`` and ``asked`` are counted so that the self-check can prove that LiteLLM calls the hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.dispatch: Dispatch | None = None
        self.limits: limits.Limits | None = None
        self.seen = 0
        self.asked = 0
        self.routed = 0

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any] | None:
        """Called for every request before its model is looked for. Raises the 400 of an unknown model."""
        self.seen += 1
        name = data.get("model")
        current = call.current.get()
        if not isinstance(name, str) or self.dispatch is None or current is None:
            return None
        if "," in name:  # LiteLLM asks several models at once, which is no fallback from one to the next
            call.current.set(None)
        same = self.dispatch.table.same.get(name)
        if same is not None:
            data["model"] = name = same
        current.name = name
        current.patience = patience.of_client(data)
        _look_once_more(name)
        if name.startswith(HIDDEN) and not current.private:
            raise ProxyModelNotFoundError(route=call_type, model_name=name)
        try:
            changed = await self.dispatch.route(current, data)
        except Exception:
            # LiteLLM knows the names that are listed, and chooses among the same deployments by weight: better than
            # no answer. It is counted and said. A name only we know it refuses as unknown: nothing is guessed.
            self.dispatch.board.routing_errors += 1
            log.exception("routing failed; LiteLLM goes on alone")
            return None
        if not changed:
            return data if same is not None else None
        self.routed += 1
        if call_type == "moderation":
            unrouted.moderate(data, proxy_server.llm_router, current.name)
        return data

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """Called when a deployment has been chosen and before its provider is."""
        self.asked += 1
        current = call.current.get()
        info = kwargs.get("model_info")
        deployment, provider = (info.get("id"), info.get("provider")) if isinstance(info, Mapping) else (None, None)
        if not isinstance(deployment, str) or not isinstance(provider, str):
            # Nobody chose who is asked: LiteLLM would take the address it knows by heart, and a key of the environment.
            raise unrouted.refused(call_type, current.name if current is not None else kwargs.get("model"))
        is_limited = self.limits is not None and deployment in self.limits and not probing.proof.get()
        if current is None or self.dispatch is None or "mock_response" in kwargs:
            if is_limited and current is None:  # one of several models that are asked at once
                await self._within_its_limit(None, deployment, str(kwargs.get("model")))
            return None
        if current.final is not None and current.deployment == deployment:
            # LiteLLM tells failures apart by their class, in which a server's own 500 is as good as no connection.
            raise current.final
        again = current.deployment == deployment and current.in_flight
        if not again:
            if current.held is not None:
                await self._give_back(current)  # LiteLLM says nothing of a stream that broke, when it asks the next one
            if is_limited:
                await self._within_its_limit(current, deployment, current.name)
            await self._wait_in_line(self.dispatch, current, deployment, provider)
        self.dispatch.board.begin(current, deployment, provider)
        if current.patience is not None:
            own = patience.of_operator(proxy_server.llm_router, deployment, stream=kwargs.get("stream") is True)
            current.impatient = own is None or current.patience < own
        if again or deployment not in self.dispatch.passing:
            return None
        prefix = kwargs["model"].partition("/")[0]
        asked = str(getattr(call_type, "value", call_type))
        for ending, prefixes in PREFIXES.items():  # what is passed on may be a model of any mode
            if asked.endswith(ending):
                prefix = prefixes.get(prefix, prefix)
        kwargs["model"] = f"{prefix}/{current.passed or current.name}"
        return kwargs

    async def _within_its_limit(self, current: call.Call | None, deployment: str, name: str) -> None:
        """Raises LiteLLM's RateLimitError, after which fallbacks are tried."""
        assert self.limits is not None
        if current is not None and current.in_flight and self.dispatch is not None:
            self.dispatch.board.failed(current, None, BROKE_OFF)  # or it were said to be what limits
        given = let_in.current.get()
        tokens = given.tokens if given is not None else None
        try:
            held = await self.limits.take(deployment, tokens or 0)
        except limits.Full as full:
            if current is not None:
                current.full = full.wait if current.full is None else min(full.wait, current.full)
                current.refused = current.refused or str(full)
            raise litellm.RateLimitError(
                message=f"{full}; ask again in {math.ceil(full.wait)} s", llm_provider="", model=name, num_retries=0
            ) from None
        if held is not None and (current is None or tokens is None):  # nobody says what it will have used
            await held.settle(tokens or 0)
        elif current is not None:
            current.held = held

    @staticmethod
    async def _give_back(current: call.Call) -> None:
        held, current.held = current.held, None
        if held is not None:
            await held.void()

    @staticmethod
    async def _wait_in_line(dispatch: Dispatch, current: call.Call, deployment: str, provider: str) -> None:
        """Until the provider has a slot. Raises LiteLLM's RateLimitError, after which fallbacks are tried."""
        if dispatch.board.freed is None:
            return  # nobody queues
        if current.in_flight:  # a stream broke: it must not wait for the slot that it has itself
            dispatch.board.failed(current, None, BROKE_OFF)
        given = let_in.current.get()
        key, weight = (given.identity.id, given.identity.weight) if given is not None else ("", 1.0)
        try:
            await dispatch.queue.enter(current, provider, key, weight)
        except TurnedAway as refused:
            current.turned_away = refused.wait
            current.refused = current.refused or str(refused)
            raise litellm.RateLimitError(
                message=f"{refused}; ask again in {math.ceil(refused.wait)} s", llm_provider="", model=current.name
            ) from None
        current.turned_away = None

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, object],
        exception: Exception,
        call_type: Any,
        fallback_depth: int | None = None,
    ) -> None:
        """Called each time a deployment that was asked did not answer."""
        current = call.current.get()
        if current is None or self.dispatch is None:
            return
        if current.held is not None:
            await self._give_back(current)
        if current.in_flight and current.turned_away is None:  # else nobody was asked
            self.dispatch.board.failed(current, *failure.of(exception))
            if current.deployment in self.dispatch.once_more and not failure.may_pass(exception):
                current.final = exception

    async def async_filter_listed_models(self, user_api_key_dict: Any, model_names: Sequence[str]) -> Sequence[str]:
        return [name for name in model_names if not name.startswith(HIDDEN)]


def _look_once_more(name: str) -> None:
    """Whether the key may ask for the name that LiteLLM found in the body, if that is not what the front found there.

    Raises the 403 of a key that may not.
    """
    given = let_in.current.get()
    if given is None or given.is_master or name in given.models:
        return
    refused = rules.allow(given.identity, given.path, (name,), time.time())
    if refused is not None:
        raise ProxyException(
            message=refused.message, type=refused.kind, param=refused.param, code=refused.status, headers={}
        )


class UsageHook(CustomLogger):  # type: ignore[misc]
    """Counts tokens, also those of streams. Only where a group is ``usage_based``: it costs every request."""

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        logged = kwargs.get("standard_logging_object")
        if logged and instance.dispatch is not None and logged.get("model_id"):
            instance.dispatch.board.used(logged["model_id"], int(logged.get("total_tokens") or 0))


instance = RoutingHook()
usage = UsageHook()


class LiteLLMModels:
    """Implements ``dispatch.Models`` by asking LiteLLM's router."""

    def knows(self, name: str) -> bool:
        """Models, ids of deployments, and several with commas between them."""
        router = proxy_server.llm_router
        return router is not None and all(router.is_recognized_model(part.strip()) for part in name.split(","))

    def deployments(self) -> frozenset[str]:
        """The id of each."""
        router = proxy_server.llm_router
        return frozenset(one["model_info"]["id"] for one in router.model_list) if router is not None else frozenset()

    @staticmethod
    def tell_clients_no_names() -> None:
        """LiteLLM adds to an error which fallbacks there are, and how its configuration is to be changed: neither is
        for every key, and the log has it."""
        litellm.expose_router_debug_in_errors = False

    @staticmethod
    def count_no_limits() -> None:
        """LiteLLM does not count ``rate_limit``: it would for each worker alone, and proofs too. ``limits`` does. The
        configuration asks it to, for the gateways of before."""
        litellm.callbacks[:] = [each for each in litellm.callbacks if type(each) is not ModelRateLimitingCheck]

    def places(self) -> dict[str, str]:
        """What each provider is called where others listen."""
        router = proxy_server.llm_router
        return places.places(router.model_list) if router is not None else {}

    def limited(self) -> dict[str, tuple[Meter, ...]]:
        """The meters of each deployment that has some."""
        router = proxy_server.llm_router
        return limits.limited(router.model_list) if router is not None else {}

    def prices(self, free: Iterable[str] | None) -> Prices:
        """Of all deployments; ``free``: providers that send no bill."""
        router = proxy_server.llm_router
        return Prices(router.model_list if router is not None else (), free, litellm.model_cost)

    def definitions(self) -> dict[str, str]:
        """By the id of each deployment all that says how it is asked, but for its key."""
        router = proxy_server.llm_router
        params = {
            one["model_info"]["id"]: {**one["litellm_params"], "api_key": None}
            for one in (router.model_list if router is not None else ())
        }
        return {id: json.dumps(said, sort_keys=True, default=str) for id, said in params.items()}

    def fallbacks(self, name: str) -> tuple[str, ...]:
        router = proxy_server.llm_router
        listed = router.fallbacks or () if router is not None else ()
        return tuple(other for each in listed for other in each.get(name, ()))

    def provider(self, name: str) -> str | None:
        router = proxy_server.llm_router
        listed = router.get_model_list(model_name=name) if router is not None else None
        return listed[0].get("model_info", {}).get("provider") if listed else None
