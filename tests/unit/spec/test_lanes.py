"""`lanes.json`: who is asked directly, who by way of LiteLLM and why, and how often again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aiops.render.litellm import config
from aiops.spec.lanes.decide import decide
from aiops.spec.lanes.table import Lanes, Plain, Retries
from aiops.spec.load.load import load
from aiops.spec.routes.deployments import hidden, identity
from aiops.spec.routes.resolve import resolve
from aiops.spec.shapes.model import DesiredState
from aiops.spec.shapes.provider_types import TYPES
from aiops.spec.sources import FILES

CASES = sorted((Path(__file__).resolve().parents[2] / "cases" / "render").iterdir())
PROVIDERS = {
    "cards": {"type": "vllm", "base_url": "http://cards:8000", "models": ["chat-7b", "coder"]},
    "lab": {"type": "ollama", "base_url": "http://lab:11434", "models": ["llama3"]},
}


def state_of(providers: dict[str, Any], mappings: str = "", gateway: str = "") -> DesiredState:
    sources = {
        "aiops.yaml": f"gateway: {{port: 4000{gateway}}}".encode(),
        "providers.yaml": json.dumps({"providers": providers}).encode(),
    }
    return load(sources | ({"model-mappings.yaml": mappings.encode()} if mappings else {}), {})


def lanes_of(providers: dict[str, Any], mappings: str = "", gateway: str = "") -> Lanes:
    state = state_of(providers, mappings, gateway)
    return decide(state, resolve(state))


def one(kind: str, **more: Any) -> Lanes:
    """Of a provider with one model, ``m``."""
    address = {"api_key_env": "KEY"} if TYPES[kind].cloud else {"base_url": "http://127.0.0.1:1"}
    model = {"name": "m", **more.pop("model", {})}
    return lanes_of({"p": {"type": kind, **address, "models": [model], **more}})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_deployment_of_litellm_has_a_lane_and_no_other(case: Path) -> None:
    sources = {file: (case / file).read_bytes() for file in FILES if (case / file).exists()}
    environment = json.loads(case.joinpath("env.json").read_text()) if case.joinpath("env.json").exists() else {}
    state = load(sources, environment)
    table = resolve(state)
    lanes = decide(state, table)
    deployments = {deployment["model_info"]["id"] for deployment in config(state, table)["model_list"]}
    assert lanes.direct.keys() | lanes.why_not.keys() == deployments
    assert lanes.plain.keys() == set(table.rules.plain)
    assert Lanes.from_json(lanes.to_json()) == lanes


@pytest.mark.parametrize("mode", ["audio_speech", "audio_transcription", "rerank"])
@pytest.mark.parametrize("lane", [{}, {"lane": "direct"}])
def test_what_is_paid_for_by_the_piece_goes_where_it_is_reckoned(mode: str, lane: dict[str, str]) -> None:
    free = one("openai_compatible", model={"mode": mode}, **lane)
    assert len(free.direct) == 1
    paid = one("openai_compatible", model={"mode": mode}, billable=True, **lane)
    assert all("reckons what it costs" in why for why in paid.why_not.values()) and paid.why_not
    assert not any(path.startswith(("audio/", "rerank")) for found in paid.direct.values() for path in found.paths)


@pytest.mark.parametrize(
    ("kind", "chat", "declared"),
    [
        ("openai_compatible", "direct", "direct"),
        ("openai", "direct", "direct"),
        ("vllm", "direct", "direct"),
        ("llama_cpp", "direct", "direct"),
        ("cerebras", "direct", "direct"),
        ("ollama", "litellm", "direct"),
        ("groq", "litellm", "direct"),
        ("anthropic", "litellm", "litellm"),
    ],
)
def test_a_type_has_a_lane_and_a_provider_may_say_another(kind: str, chat: str, declared: str) -> None:
    for lane, more in ((chat, {}), (declared, {"lane": "direct"}), ("litellm", {"lane": "litellm"})):
        lanes = one(kind, **more)
        [deployment] = lanes.direct.keys() | lanes.why_not.keys()
        found, why = lanes.of(deployment, "chat/completions")
        assert (found, bool(why)) == (lane, lane == "litellm"), more


@pytest.mark.parametrize("kind", [kind for kind, row in TYPES.items() if row.ambient or kind in ("cohere", "gemini")])
def test_what_speaks_a_language_of_its_own_is_litellms(kind: str) -> None:
    lanes = one(kind)
    assert not lanes.direct
    assert list(lanes.why_not.values()) == [f"LiteLLM translates what {kind} is asked"]


def test_anthropic_is_asked_directly_for_messages_and_needs_litellm_for_the_rest() -> None:
    lanes = one("anthropic")
    [direct] = lanes.direct.values()
    assert (direct.url, direct.wire, direct.paths, direct.key) == (
        "https://api.anthropic.com/v1", "anthropic", {"messages"}, "KEY",
    )  # fmt: skip
    assert lanes.of(direct.deployment, "messages") == ("direct", "")
    assert lanes.needs_litellm
    assert not one("anthropic", options={"max_tokens": 9}).direct


def test_ollama_is_asked_at_its_v1_when_it_is_declared() -> None:
    [direct] = one("ollama", lane="direct", options={"temperature": 0.5, "num_predict": 9}).direct.values()
    assert direct.url == "http://127.0.0.1:1/v1"
    assert direct.defaults == {"temperature": 0.5, "max_tokens": 9}


@pytest.mark.parametrize(("base", "url"), [("http://h:1", "http://h:1/v1"), ("http://h:1/x/v3/", "http://h:1/x/v3")])
def test_the_address_is_the_one_that_litellm_is_given(base: str, url: str) -> None:
    [direct] = one("openai_compatible", base_url=base).direct.values()
    assert direct.url == url


def test_an_address_with_a_path_of_its_own_is_litellms() -> None:
    lanes = one("openai_compatible", base_url="http://h:1/v1/chat/completions", exact_url=True)
    assert (dict(lanes.direct), list(lanes.why_not.values())) == (
        {}, ["its address has a path of its own, which LiteLLM leaves as it is"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "paths"),
    [("chat", {"chat/completions", "completions"}), ("embedding", {"embeddings"}), ("responses", set())],
)
def test_with_options_a_model_is_asked_directly_for_what_it_is_there_for(mode: str, paths: set[str]) -> None:
    lanes = one("openai_compatible", model={"mode": mode, "options": {"extra_body": {"x": 1}}})
    assert {path for direct in lanes.direct.values() for path in direct.paths} == paths


def test_what_a_provider_keeps_is_litellms_to_find_again() -> None:
    lanes = one("openai", model={"mode": "responses"})
    [direct] = lanes.direct.values()
    assert direct.paths == {"responses"}
    assert lanes.needs_litellm


def test_a_model_of_openai_that_reasons_is_litellms_for_a_chat() -> None:
    for kind in ("openai", "openai_compatible"):
        for model in ({"name": "o3"}, {"base_model": "gpt-5"}):
            lanes = one(kind, model=model)
            [deployment] = lanes.direct
            assert lanes.of(deployment, "chat/completions")[0] == "litellm"
            assert lanes.of(deployment, "responses")[0] == "direct"
            assert one(kind, model=model, lane="direct").of(deployment, "chat/completions")[0] == "direct"
    assert not one("vllm", model={"name": "o3"}).needs_litellm  # no model of OpenAI's


def test_names_that_are_passed_on_to_openai_may_be_of_models_that_reason() -> None:
    providers = {
        "cloud": {"type": "openai", "api_key_env": "KEY", "models": ["gpt-4o"]},
        "near": {"type": "openai_compatible", "base_url": "http://near:1", "models": ["m"]},
    }
    lanes = lanes_of(providers, "patterns: [{pattern: '^a', provider: cloud}, {pattern: '^b', provider: near}]")
    assert lanes.of(hidden("cloud", None), "chat/completions")[0] == "litellm"
    assert lanes.of(hidden("near", None), "chat/completions")[0] == "direct"
    assert lanes.direct[hidden("near", None)].model is None


def test_one_setting_sends_everything_by_way_of_litellm() -> None:
    lanes = lanes_of(PROVIDERS, gateway=", lanes: litellm")
    assert lanes.mode == "litellm"
    assert not lanes.direct
    assert set(lanes.why_not.values()) == {"`gateway.lanes: litellm`"}


def test_a_plain_name_has_its_deployment_and_its_fallbacks() -> None:
    lanes = lanes_of(
        PROVIDERS,
        "fallback_chains: {coder: {chain: [chat-7b, llama3], context_window: [llama3], content_policy: [chat-7b]}}",
    )
    assert lanes.plain["coder"] == Plain(
        name="coder", deployment=identity("coder", "cards", "coder"), fallbacks=("chat-7b", "llama3")
    )
    assert (dict(lanes.context_window), dict(lanes.content_policy)) == ({"coder": ("llama3",)}, {"coder": ("chat-7b",)})


ONCE = Retries(no_connection=1, unavailable=1)
TWICE = Retries(no_connection=2, unavailable=2, server_error=2, timed_out=2, rate_limited=2)


@pytest.mark.parametrize(
    ("retries", "alone", "with_others"), [(None, ONCE, Retries()), (2, TWICE, TWICE), (0, *[Retries()] * 2)]
)
def test_a_plain_name_is_asked_again_where_nobody_else_answers_or_as_often_as_is_written(
    retries: int | None, alone: Retries, with_others: Retries
) -> None:
    gateway = f", retries: {retries}" if retries is not None else ""
    plain = lanes_of(PROVIDERS, "fallback_chains: {coder: [llama3]}", gateway).plain
    assert (plain["chat-7b"].retries, plain["coder"].retries) == (alone, with_others)


def test_of_several_members_none_is_asked_again_and_one_alone_is() -> None:
    mappings = (
        "load_balancing: {both: {providers: [{provider: cards, preferred_model: coder}, {provider: lab}]}}\n"
        "capabilities: {code: {preferred_models: [chat-7b]}}"
    )
    for gateway, alone in (("", ONCE), (", retries: 2", TWICE)):
        direct = lanes_of(PROVIDERS, mappings, gateway).direct
        assert direct[identity("both", "cards", "coder")].retries == Retries()
        assert direct[identity("code", "cards", "chat-7b")].retries == alone


def test_without_a_provider_nothing_is_decided() -> None:
    lanes = lanes_of({})
    assert (dict(lanes.direct), dict(lanes.why_not), lanes.max_fallbacks) == ({}, {}, 5)
