"""``litellm-unified.yaml``: what LiteLLM serves. Only keys that LiteLLM really reads are ever written."""

from __future__ import annotations

import hashlib
from typing import Any

from aiops.spec.model import DesiredState, Provider
from aiops.spec.provider_types import PLACEHOLDER_KEY
from aiops.spec.resolve import Route, RouteTable
from aiops.spec.secrets import MASTER_KEY_ENV, key_variable
from aiops.spec.sources import MAPPINGS, PROVIDERS, SETTINGS
from aiops.spec.yaml_text import block

NAME = "litellm-unified.yaml"
_LITELLM_DEFAULT_FALLBACKS = 5


def litellm_config(state: DesiredState, table: RouteTable, *, aiops_version: str) -> bytes:
    """The configuration as bytes: equal for equal input."""
    head = (
        f"# Made by aiops {aiops_version} from sources {state.fingerprint}.\n"
        f"# Do not edit: edit {SETTINGS}, {PROVIDERS} or {MAPPINGS} and run `aiops apply`.\n\n"
    )
    return (head + block(config(state, table))).encode()


def config(state: DesiredState, table: RouteTable) -> dict[str, Any]:
    """The configuration as plain data."""
    gateway = state.gateway
    fallbacks = [{route.model: list(route.fallbacks)} for route in table.routes if route.fallbacks]
    longest = max((len(route.fallbacks) for route in table.routes), default=0)
    router: dict[str, Any] = {
        "fallbacks": fallbacks,
        # LiteLLM stops after five by default.
        "max_fallbacks": max(longest, _LITELLM_DEFAULT_FALLBACKS),
        "num_retries": gateway.retries,
        # One 401 or 404 would take a model with a single deployment out for five seconds.
        "disable_cooldowns": True,
        "timeout": gateway.request_timeout,
    }
    if gateway.stream_timeout is not None:
        router["stream_timeout"] = gateway.stream_timeout
    return {
        "model_list": [_deployment(route, state.providers[route.provider]) for route in table.routes],
        "router_settings": router,
        "litellm_settings": {
            "request_timeout": gateway.request_timeout,
            # Llama-like names would be looked up on a model hub.
            "disable_hf_tokenizer_download": True,
            # Else /v1/messages is sent to /v1/responses, which few servers have.
            "use_chat_completions_url_for_anthropic_messages": True,
            # Lets `verify` prove a fallback without taking a provider down.
            "callbacks": ["aiops.gateway.probe.instance"],
        },
        "general_settings": {
            "master_key": f"os.environ/{MASTER_KEY_ENV}",
            "custom_auth": "aiops.gateway.auth.authenticate",
            # Start-up would ask every api_base for its models.
            "disable_model_info_refresh": True,
        },
    }


def _deployment(route: Route, provider: Provider) -> dict[str, Any]:
    kind = provider.kind
    params: dict[str, Any] = {"model": f"{kind.prefix_for(route.mode)}/{route.backend_model}"}
    if provider.api_base is not None:
        params["api_base"] = provider.api_base
    variable = key_variable(provider)
    params["api_key"] = f"os.environ/{variable}" if variable is not None else PLACEHOLDER_KEY
    params |= route.params  # none is called like one of these three
    info: dict[str, Any] = {"id": _identity(route), "mode": route.mode, "provider": route.provider}
    if route.cost is not None:
        # LiteLLM counts per token; with these it knows what a request cost.
        per_token = round(route.cost / 1000, 15)
        info |= {"input_cost_per_token": per_token, "output_cost_per_token": per_token}
    if route.info:
        info["documentation"] = dict(route.info)
    return {"model_name": route.model, "litellm_params": params, "model_info": info}


def _identity(route: Route) -> str:
    """The same deployment keeps its id over generations and machines; a random one would make every release new."""
    text = "\0".join((route.model, route.provider, route.backend_model))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
