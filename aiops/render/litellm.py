"""``litellm-unified.yaml``: what LiteLLM serves. Only keys that LiteLLM really reads are ever written."""

from __future__ import annotations

from typing import Any

from aiops.spec.choosing.rules import Member, Strategy
from aiops.spec.lanes import ways
from aiops.spec.routes.deployments import ANY_MODEL, hidden_members, hidden_name, identity
from aiops.spec.routes.documentation import together
from aiops.spec.routes.routes import Info, Route, RouteTable, is_alone
from aiops.spec.shapes.model import DesiredState, Provider
from aiops.spec.shapes.options import Params
from aiops.spec.shapes.provider_types import PLACEHOLDER_KEY, Mode
from aiops.spec.shapes.secrets import MASTER_KEY_ENV, key_variable
from aiops.spec.shapes.settings import Gateway
from aiops.spec.sources import MAPPINGS, PROVIDERS, SETTINGS
from aiops.spec.yaml.yaml_text import block

NAME = "litellm-unified.yaml"
_PASSING = ("TimeoutError", "RateLimitError", "InternalServerError", "ServiceUnavailableError")
"""Failures after which a second try may be answered."""
_NOT_THERE = ("InternalServerErrorRetries", "ServiceUnavailableErrorRetries")
"""What LiteLLM makes of a connection that was refused, and of a server that loads its model. A server's own 500 is in
the first class, too: ``worker/routing.py`` does not ask again after that one."""
_FINAL = tuple(
    f"{failure}Retries"
    for failure in ("AuthenticationError", "BadRequestError", "ContentPolicyViolationError", "NotFoundError",
                    "RateLimitError", "TimeoutError")
)  # fmt: skip


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
    router: dict[str, Any] = {
        "fallbacks": fallbacks,
        "max_fallbacks": ways.max_fallbacks(table),
        "num_retries": gateway.retries or 0,
        # One 401 or 404 would take a model with a single deployment out for five seconds.
        "disable_cooldowns": True,
        "timeout": gateway.request_timeout,
    }
    if any(route.rpm or route.tpm for route in table.routes):
        # Workers count themselves (``worker/limits``) and take it out; a gateway that runs an aiops of before needs it.
        router["optional_pre_call_checks"] = ["enforce_model_rate_limits"]
    if policies := _policies(gateway.retries, state, table):
        router["model_group_retry_policy"] = policies
    for key in ("context_window", "content_policy"):
        if named := [{name: list(others)} for name, others in ways.special(table, key)]:
            router[f"{key}_fallbacks"] = named
    if gateway.stream_timeout is not None:
        router["stream_timeout"] = gateway.stream_timeout
    return {
        "model_list": _timed(_deployments(state, table), gateway),
        "router_settings": router,
        "litellm_settings": {
            "request_timeout": gateway.request_timeout,
            # Llama-like names would be looked up on a model hub.
            "disable_hf_tokenizer_download": True,
            # Else /v1/messages is sent to /v1/responses, which few servers have.
            "use_chat_completions_url_for_anthropic_messages": True,
            "callbacks": _callbacks(table),
        },
        "general_settings": {
            "master_key": f"os.environ/{MASTER_KEY_ENV}",
            "custom_auth": "aiops.gateway.auth.authenticate",
            # Start-up would ask every api_base for its models.
            "disable_model_info_refresh": True,
        },
    }


def _policies(retries: int | None, state: DesiredState, table: RouteTable) -> dict[str, dict[str, int]]:
    """After which failures LiteLLM tries again, by the name or id of a deployment that it is asked for.

    It tries one that is asked for by its id again only where a policy says so.
    """
    lonely = [group.members[0] for group in table.rules.groups() if len(group.members) == 1]
    if retries is not None:
        passing = {f"{failure}Retries": retries for failure in _PASSING}
        return {member.deployment: passing for member in sorted(lonely, key=_deployment_of)} if retries else {}
    plain = set(table.rules.plain)
    found = {
        route.model: _once(state.providers[route.provider])
        for route in table.routes
        if route.model in plain and is_alone(route)
    }
    alone = {group.members[0] for group in table.rules.groups() if group.is_alone}
    return found | {one.deployment: _once(state.providers[one.provider]) for one in sorted(alone, key=_deployment_of)}


def _deployment_of(member: Member) -> str:
    return member.deployment


def _once(provider: Provider) -> dict[str, int]:
    if provider.type == "ollama":  # of which LiteLLM makes one class, that no policy names, of everything
        return dict.fromkeys(_FINAL, 0) | dict.fromkeys((*_NOT_THERE, "DefaultRetries"), 1)
    return dict.fromkeys(_NOT_THERE, 1)


def _callbacks(table: RouteTable) -> list[str]:
    # The first lets `verify` prove a fallback without taking a provider down. It comes first, so that a failure it
    # makes is not counted against a provider.
    callbacks = ["aiops.gateway.probe.instance", "aiops.gateway.routing.instance"]
    if any(group.strategy is Strategy.USAGE_BASED for group in table.rules.groups()):
        callbacks.append("aiops.gateway.routing.usage")  # counts tokens, which costs every request
    return callbacks


def _deployments(state: DesiredState, table: RouteTable) -> list[dict[str, Any]]:
    """One for each plain name, one for each member of a group under the group's name, then the hidden ones."""
    found = []
    for route in table.routes:
        if not route.endpoints:
            found.append(_plain(route, state.providers[route.provider]))
        weighted = len({endpoint.member.weight for endpoint in route.endpoints}) > 1
        in_order = len(route.endpoints) > 1 and route.strategy == Strategy.DIRECT
        for place, endpoint in enumerate(route.endpoints, 1):
            member = endpoint.member
            one = _deployment(route.model, member, state.providers[member.provider], endpoint.mode)
            tell(one, endpoint.params, endpoint.facts)
            if weighted:
                one["litellm_params"]["weight"] = member.weight
            if in_order:
                one["litellm_params"]["order"] = place
            found.append(_documented(one, together(endpoint.info, route.info)))
    return found + [_hidden(member, state.providers[member.provider]) for member in hidden_members(table.rules)]


def _plain(route: Route, provider: Provider) -> dict[str, Any]:
    identifier = identity(route.model, route.provider, route.backend_model)
    one = _deployment(route.model, Member(identifier, route.provider, route.backend_model), provider, route.mode)
    # Not among the parameters: of these LiteLLM makes a limit of requests at once, too.
    one["model_info"] |= {key: limit for key, limit in (("rpm", route.rpm), ("tpm", route.tpm)) if limit}
    tell(one, route.params, route.facts)
    return _documented(one, route.info)


def _hidden(member: Member, provider: Provider) -> dict[str, Any]:
    """A deployment that only rules lead to. What is asked of it is put in by the gateway when it has no model."""
    spec = provider.model(member.model) if member.model else None
    one = _deployment(hidden_name(provider.name), member, provider, spec.mode if spec else "chat")
    tell(one, provider.params(spec), provider.facts(member.model or "", spec))
    return one


def _deployment(name: str, member: Member, provider: Provider, mode: Mode) -> dict[str, Any]:
    info = {"id": member.deployment, "mode": mode, "provider": provider.name}
    return {"model_name": name, "litellm_params": call(provider, member.model or ANY_MODEL, mode), "model_info": info}


def call(provider: Provider, model: str, mode: Mode) -> dict[str, Any]:
    """How LiteLLM calls one model of a provider: under which name, where, with which key."""
    params = {"model": f"{provider.kind.prefix_for(mode)}/{model}"}
    if provider.api_base is not None:
        params["api_base"] = provider.api_base
    variable = key_variable(provider)
    if variable is not None or not provider.kind.ambient:
        params["api_key"] = f"os.environ/{variable}" if variable is not None else PLACEHOLDER_KEY
    return params


def _timed(deployments: list[dict[str, Any]], gateway: Gateway) -> list[dict[str, Any]]:
    """A model's own time-out counts for its streams: LiteLLM would take `request_timeout`, for all, before it."""
    for each in deployments if gateway.stream_timeout is None else ():
        params = each["litellm_params"]
        if "timeout" in params:
            params.setdefault("stream_timeout", params["timeout"])
    return deployments


def tell(deployment: dict[str, Any], params: Params, facts: Params) -> None:
    """Add the options, none of which replaces what says who is called, and what is known of the model.

    With prices LiteLLM knows what a request cost.
    """
    deployment["litellm_params"] |= params
    deployment["model_info"] |= facts


def _documented(deployment: dict[str, Any], info: Info) -> dict[str, Any]:
    if info:
        deployment["model_info"]["documentation"] = dict(info)
    return deployment
