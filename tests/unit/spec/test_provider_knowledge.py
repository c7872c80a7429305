"""What follows from a provider's type, options and prices, and what is learnt from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aiops.errors import InvalidState
from aiops.plan.diff import diff
from aiops.render.litellm import config
from aiops.spec.edit.edit import add_provider, learn
from aiops.spec.load.link_local import forbidden
from aiops.spec.load.load import load
from aiops.spec.routes.resolve import resolve
from aiops.spec.routes.summary import summarise
from aiops.spec.shapes.model import DesiredState, ModelSpec, Provider
from aiops.spec.shapes.option_tables import ANY, HANDLING, OPTIONS
from aiops.spec.shapes.provider_types import TYPES

SETTINGS = b"gateway: {port: 4000}\n"


def provider(**facts: Any) -> Provider:
    kind = facts.get("type", "vllm")
    place = {"api_key_env": "K"} if TYPES[kind].cloud else {"base_url": "http://127.0.0.1:8000"}
    entry = {"type": "vllm", **place, "models": ["m"], **facts}
    sources = {"aiops.yaml": SETTINGS, "providers.yaml": json.dumps({"providers": {"p": entry}}).encode()}
    return load(sources, {}).providers["p"]


def test_options_of_a_model_go_before_those_of_its_provider_and_each_model_gets_what_it_can_take() -> None:
    models = [
        {"name": "chatty", "options": {"num_ctx": 4096, "temperature": 0.5}},
        {"name": "vectors", "mode": "embedding"},
    ]
    it = provider(type="ollama", options={"num_ctx": 2048, "num_predict": 64, "stop": ["END"]}, models=models)
    assert it.params(it.model("chatty")) == {
        "num_ctx": 4096, "max_tokens": 64, "stop": ["END"], "temperature": 0.5,
    }  # fmt: skip
    assert it.params(it.model("vectors")) == {"num_ctx": 2048}
    assert it.params(None) == {"num_ctx": 2048, "max_tokens": 64, "stop": ["END"]}


def test_ollama_gives_a_request_no_more_context_than_num_ctx() -> None:
    models = [{"name": "a", "context_length": 131072}, {"name": "b", "context_length": 2048}, {"name": "c"}]
    it = provider(type="ollama", options={"num_ctx": 8192}, models=models)
    assert [it.context(it.model(name)) for name in "abc"] == [8192, 2048, 8192]
    assert provider(models=[{"name": "a", "context_length": 9}]).context(ModelSpec(name="a", context_length=9)) == 9


@pytest.mark.parametrize(
    ("kind", "parallel"),
    [("ollama", 1), ("llama_cpp", 1), ("vllm", 256), ("openai_compatible", 8), ("openai", 100), ("groq", 100)],
)
def test_how_many_requests_a_provider_takes_at_once_is_the_types_until_somebody_says(kind: str, parallel: int) -> None:
    assert provider(type=kind).parallel == parallel
    assert provider(type=kind, max_parallel=3).parallel == 3


@pytest.mark.parametrize(
    ("facts", "name", "price"),
    [
        ({}, "m", 0.0),
        ({"billable": True}, "m", None),
        ({"type": "openai"}, "m", None),
        ({"type": "openai", "cost_per_1k_tokens": 0.5}, "m", 0.5),
        ({"type": "openai", "cost_per_1k_tokens": {"m": 0.25}}, "m", 0.25),
        ({"cost_per_1k_tokens": 1, "models": [{"name": "m", "cost_per_1k_tokens": 0.1}]}, "m", 0.1),
        ({"type": "ollama", "models": ["gpt-oss:120b-cloud"]}, "gpt-oss:120b-cloud", None),
        ({"type": "ollama", "models": ["x:cloud"], "billable": False}, "x:cloud", 0.0),
    ],
)
def test_a_price_is_what_is_written_nothing_where_nobody_bills_and_else_unknown(
    facts: dict[str, Any], name: str, price: float | None
) -> None:
    it = provider(**facts)
    assert it.price(name, it.model(name)) == price


@pytest.mark.parametrize("kind", TYPES)
def test_a_service_costs_money_also_through_a_proxy_that_stands_here(kind: str) -> None:
    it = provider(type=kind, base_url="http://127.0.0.1:9000")
    assert it.is_billable is TYPES[kind].cloud


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.1", "192.168.1.9", "example.com", "2001:db8::1", "169.255.1.1", "169-254-1-1.lan",
     "1.2.3.4.5", "0x", "metadata.example.com", "a9fea9fe", "fd00::1"],
)  # fmt: skip
def test_other_addresses_are_not_taken_for_link_local(host: str) -> None:
    assert forbidden(f"http://[{host}]:80" if ":" in host else f"http://{host}:80") is None


def test_a_full_width_spelling_of_the_metadata_address_is_seen_through() -> None:
    assert forbidden("http://１６９.２５４.１６９.２５４") is not None


def test_what_is_learnt_is_written_where_nothing_is_and_never_over_what_is() -> None:
    before = (
        b"providers:\n  p:\n    type: ollama\n    base_url: http://h:1\n    models:\n"
        b"      - llama3   # the good one\n      - {name: big, size: 70B}\n      - name: other\n"
    )
    reported = [
        ModelSpec(name="llama3:latest", size="8B", context_length=8192),
        ModelSpec(name="big", size="71B", context_length=4096),
        ModelSpec(name="never-listed", size="1B"),
    ]
    edit = learn({"aiops.yaml": SETTINGS, "providers.yaml": before}, "p", reported, 4)
    assert edit.sources["providers.yaml"].decode() == (
        "providers:\n  p:\n    type: ollama\n    base_url: http://h:1\n    models:\n"
        '      - {name: llama3, size: "8B", context_length: 8192}   # the good one\n'
        "      - {name: big, size: 70B, context_length: 4096}\n      - name: other\n    max_parallel: 4\n"
    )
    assert edit.notes == ("`big`: size 70B is written and stays; p reports 71B",)
    assert learn(edit.sources, "p", reported, 8).sources == edit.sources


def test_the_same_provider_again_is_no_change_when_it_has_more_slots_now() -> None:
    empty = {"aiops.yaml": SETTINGS, "providers.yaml": b"providers: {}\n"}

    def added(sources: Any, slots: int) -> Any:
        facts = {"type": "llama_cpp", "base_url": "http://h:1", "models": [ModelSpec(name="m", size="7B")]}
        return add_provider(sources, "p", max_parallel=slots, **facts).sources  # type: ignore[arg-type]

    once = added(empty, 2)
    assert load(once, {}).providers["p"].max_parallel == 2
    assert added(once, 4) == once


def test_the_page_about_providers_has_every_type_and_every_option_it_takes() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "providers.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")
    ]
    facts = {row[0].strip("`"): row for row in rows if len(row) == 6}
    assert {kind: int(row[4]) for kind, row in facts.items()} == {kind: TYPES[kind].parallel for kind in TYPES}
    options: dict[tuple[str, str], set[str]] = {}
    for kind, modes, names in (row for row in rows if len(row) == 3 and row[0].strip("`") in TYPES):
        options[kind.strip("`"), modes] = set(names.replace("`", "").split())
    written = {
        (kind, "any" if modes == ANY else ", ".join(modes)): {
            name for name, option in table.items() if option.modes == modes
        }
        - HANDLING
        for kind, table in OPTIONS.items()
        for modes in {option.modes for option in table.values()}
    }
    assert options == {key: names for key, names in written.items() if names}
    assert {name for name in HANDLING if f"`{name}`" not in page} == set()


GROUP = b"""
load_balancing:
  both:
    providers: [{provider: lab, preferred_model: small:8b}, {provider: paid, preferred_model: large}]
    strategy: cost-based
patterns:
  - {pattern: "^gpt-", provider: lab}
"""


def grouped(lab: str, paid: str) -> DesiredState:
    providers = (
        "providers:\n"
        "  lab: {type: ollama, base_url: 'http://127.0.0.1:1', "
        f"models: [{{name: 'small:8b', context_length: 9000}}]{lab}}}\n"
        f"  paid: {{type: openai, api_key_env: K, models: [{{name: large, size: 70B}}]{paid}}}\n"
    )
    return load({"aiops.yaml": SETTINGS, "providers.yaml": providers.encode(), "model-mappings.yaml": GROUP}, {})


def test_rules_know_what_their_providers_and_models_are_like() -> None:
    rules = resolve(grouped(", max_parallel: 3, options: {num_ctx: 4096}", ", cost_per_1k_tokens: 0.5")).rules
    members = rules.names["both"].members
    assert [(member.size, member.context, member.cost) for member in members] == [(8, 4096, 0.0), (70, None, 0.5)]
    assert {name: facts.parallel for name, facts in rules.providers.items()} == {"lab": 3, "paid": 100}


def test_the_cheapest_cannot_be_chosen_while_a_price_is_unknown() -> None:
    with pytest.raises(InvalidState, match=r"`large` of `paid` costs money, but not known how much"):
        grouped("", "")
    grouped("", ", cost_per_1k_tokens: 0")
    grouped("", ", billable: false")


def test_every_deployment_of_a_provider_carries_its_options_also_those_that_only_rules_lead_to() -> None:
    state = grouped(", options: {num_ctx: 4096}", ", cost_per_1k_tokens: 0.5")
    deployments = config(state, resolve(state))["model_list"]
    lab = [one["litellm_params"] for one in deployments if one["model_info"]["provider"] == "lab"]
    assert len(lab) == 3  # its own name, the group's member, the pattern's
    assert [params.get("num_ctx") for params in lab] == [4096, 4096, 4096]
    prices = [one["model_info"].get("input_cost_per_token") for one in deployments if "paid" in str(one["model_info"])]
    assert set(prices) == {0.0005}


def test_another_option_is_proved_again_and_said_in_the_plan() -> None:
    before, after = grouped("", ", billable: false"), grouped(", options: {num_ctx: 4096}", ", billable: false")
    found = diff(resolve(before), resolve(after), summarise(before), summarise(after))
    assert set(found.changed_models) == {"both", "small:8b"}
    assert "~ model small:8b: options (num_ctx)" in found.lines()
    assert "~ model both: options of lab (num_ctx)" in found.lines()


def test_a_model_is_looked_up_however_many_there_are() -> None:
    compared = 0

    class Name(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    it = provider(models=[f"m{number}" for number in range(1000)])
    found = [it.model(Name(f"m{number}")) for number in range(1000)]
    assert [spec.name for spec in found if spec is not None] == [f"m{number}" for number in range(1000)]
    assert it.model("none") is None
    assert compared < 2000
