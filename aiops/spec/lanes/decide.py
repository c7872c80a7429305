"""Which deployments are asked directly, how, and why the others are not. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiops.spec.lanes import ways
from aiops.spec.lanes.options import OPENAI_FIELDS, Told, hindrance, told
from aiops.spec.lanes.speech import BY_THE_PIECE, SPEECH, TEXT, Speech
from aiops.spec.lanes.table import Direct, Lanes, Plain, Retries, Seconds
from aiops.spec.routes.deployments import hidden_members, identity
from aiops.spec.routes.routes import RouteTable
from aiops.spec.shapes.model import DesiredState, Provider
from aiops.spec.shapes.options import Params
from aiops.spec.shapes.provider_types import Mode
from aiops.spec.shapes.secrets import key_variable
from aiops.spec.shapes.settings import Gateway
from aiops.spec.shapes.urls import without_endpoint

MAIN: Mapping[Mode, str] = {
    "chat": "chat/completions",
    "completion": "completions",
    "embedding": "embeddings",
    "responses": "responses",
    "audio_speech": "audio/speech",
    "audio_transcription": "audio/transcriptions",
    "rerank": "rerank",
}
"""Where a model of a mode is asked for what it is for. Images and moderations are LiteLLM's."""
_WITH_OPTIONS: Mapping[Mode, frozenset[str]] = {
    "chat": TEXT,
    "completion": TEXT,
    "embedding": frozenset({"embeddings"}),
}
"""Where it was seen what LiteLLM makes of options in a body, by the model's mode."""
_EMBEDDING_FIELDS = OPENAI_FIELDS | {"encoding_format", "dimensions"}
_FITTED = ("openai", "openai_compatible")
REASONING = re.compile(r"(?:^|/)o\d|gpt-[5-9]|daybreak")
"""Names of models for which LiteLLM renames and leaves out fields, or makes a response of a chat."""


@dataclass(frozen=True, kw_only=True)
class _Deployed:
    """One deployment. ``model``: None passes on the name that was asked for; ``known_as``: names by which LiteLLM
    knows what it is."""

    deployment: str
    provider: Provider
    model: str | None
    mode: Mode
    params: Params
    known_as: tuple[str, ...] = ()


def decide(state: DesiredState, table: RouteTable) -> Lanes:
    """The lanes of everything that is served, and of what only rules lead to."""
    gateway = state.gateway
    retries = ways.by_deployment(table, gateway.retries)
    direct, why_not = {}, {}
    for one in _deployments(state, table):
        found, why = _lane(one, gateway, retries.get(one.deployment, ways.NEVER))
        if found is not None:
            direct[one.deployment] = found
        if why:
            why_not[one.deployment] = why
    plain = set(table.rules.plain)
    return Lanes(
        mode=gateway.lanes,
        direct=direct,
        why_not=why_not,
        plain={
            route.model: Plain(
                name=route.model,
                deployment=identity(route.model, route.provider, route.backend_model),
                fallbacks=route.fallbacks,
                retries=ways.by_name(route, gateway.retries),
            )
            for route in table.routes
            if route.model in plain
        },
        context_window=dict(ways.special(table, "context_window")),
        content_policy=dict(ways.special(table, "content_policy")),
        max_fallbacks=ways.max_fallbacks(table),
    )


def _deployments(state: DesiredState, table: RouteTable) -> Iterator[_Deployed]:
    """As ``render/litellm`` writes them."""
    for route in table.routes:
        for endpoint in route.endpoints:
            member = endpoint.member
            yield _deployed(state, member.deployment, member.provider, member.model, endpoint.mode, endpoint.params)
        if not route.endpoints:
            id = identity(route.model, route.provider, route.backend_model)
            yield _deployed(state, id, route.provider, route.backend_model, route.mode, route.params)
    for member in hidden_members(table.rules):
        provider = state.providers[member.provider]
        spec = provider.model(member.model) if member.model else None
        mode: Mode = spec.mode if spec else "chat"
        yield _deployed(state, member.deployment, provider.name, member.model, mode, provider.params(spec))


def _deployed(
    state: DesiredState, deployment: str, name: str, model: str | None, mode: Mode, params: Params
) -> _Deployed:
    provider = state.providers[name]
    spec = provider.model(model) if model is not None else None
    known = (model or "", (spec.base_model or "") if spec else "")
    return _Deployed(deployment=deployment, provider=provider, model=model, mode=mode, params=params, known_as=known)


def _lane(one: _Deployed, gateway: Gateway, retries: Retries) -> tuple[Direct | None, str]:
    """How it is asked directly, and why not; both when it is only for some of what it can be asked."""
    provider, speech = one.provider, SPEECH.get(one.provider.type)
    if gateway.lanes == "litellm":
        return None, "`gateway.lanes: litellm`"
    if provider.lane == "litellm":
        return None, f"`{provider.name}` has `lane: litellm`"
    if speech is None:
        return None, f"LiteLLM translates what {provider.type} is asked"
    if one.mode not in MAIN:
        return None, f"LiteLLM makes the requests of models for {one.mode}"
    url = _url(provider, speech)
    if url is None:
        return None, "its address has a path of its own, which LiteLLM leaves as it is"
    for option, value in one.params.items():
        if why := hindrance(provider.type, speech.takes, option, value):
            return None, f"`options.{option}`: {why}"
    said = told(one.params)
    paths, why = _paths(one, speech, said, url)
    if not paths:
        return None, why
    seconds, stream_seconds = _seconds(one.params, gateway)
    direct = Direct(
        deployment=one.deployment,
        provider=provider.name,
        url=url,
        model=one.model,
        key=key_variable(provider),
        headers=said.headers,
        defaults=said.defaults,
        forced=said.forced,
        drop=said.drop,
        rename=speech.rename,
        paths=paths,
        wire=speech.wire,
        seconds=seconds,
        stream_seconds=stream_seconds,
        retries=retries,
    )
    return direct, why


def _paths(one: _Deployed, speech: Speech, said: Told, url: str) -> tuple[frozenset[str], str]:
    """Where it is asked directly; and why not for what it is there for, if so."""
    kind, mode, declared = one.provider.type, one.mode, one.provider.lane == "direct"
    paths, why = speech.own | speech.declared if declared else speech.own, speech.why
    if mode == "responses":
        paths &= {"responses"}  # LiteLLM makes a response of a chat
        why = "an answer that its provider keeps (`store`) is found again by LiteLLM"
    if one.provider.is_billable:
        paths -= BY_THE_PIECE
        why = why or "LiteLLM reckons what it costs, which is no matter of tokens"
    if one.params.get("use_chat_completions_api") or (kind == "vllm" and not url.endswith("/v1")):
        paths -= {"responses"}
    if "organization" in one.params:  # elsewhere LiteLLM does not say it
        paths &= {"chat/completions"}
    if said.changes_bodies:
        paths &= _WITH_OPTIONS.get(mode, frozenset())
        if not paths:
            return paths, f"LiteLLM puts the options of a model for {mode} into its requests"
    if said.drop:
        paths &= TEXT
    extra = one.params.get("extra_body")
    if mode == "embedding" and isinstance(extra, Mapping) and not _EMBEDDING_FIELDS.isdisjoint(extra):
        return frozenset(), "`options.extra_body`: LiteLLM puts it where it belongs"
    if not declared and (fitted := _fitted(one)):
        paths -= {"chat/completions"}
        why = fitted
    return paths, "" if MAIN[mode] in paths and mode != "responses" else why


def _fitted(one: _Deployed) -> str:
    """Why LiteLLM asks it for a chat in other words than the client's; empty when it does not."""
    if one.provider.type not in _FITTED:
        return ""
    if one.model is None and one.provider.type == "openai":
        return "a name that is passed on may be one of OpenAI's models that reason, to which LiteLLM fits what is asked"
    reasons = any(map(REASONING.search, one.known_as))
    return "LiteLLM fits what is asked to OpenAI's models that reason, and makes a response of some of it" * reasons


def _url(provider: Provider, speech: Speech) -> str | None:
    """What stands before the path; None when the address has one of its own."""
    base = provider.api_base or speech.address
    assert base is not None, provider.name  # a type without an address of its own needs one
    if without_endpoint(base)[1]:
        return None
    base = base.rstrip("/")
    return base if provider.kind.suffix or speech.address else f"{base}/v1"


def _seconds(params: Params, gateway: Gateway) -> tuple[Seconds, Seconds]:
    """Of an answer in one piece, and of a streamed one, as LiteLLM's router finds them. It gives the same time to the
    connection and to each wait for bytes, and sets no end to the whole."""
    own = params.get("timeout")
    whole = own or gateway.request_timeout
    streamed = params.get("stream_timeout") or gateway.stream_timeout or whole
    return _each(whole), _each(streamed)


def _each(given: object) -> Seconds:
    assert isinstance(given, int | float), given
    return Seconds(connect=float(given), first_token=float(given), between_tokens=float(given))
