"""What LiteLLM alone is told, and what it is said that it cannot do."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest
import yaml

from aiops.render.stock import Stock, stock_config
from aiops.spec.choosing.rules import (
    Group,
    Member,
    MetadataRule,
    PatternRule,
    RoutingTable,
    RuleKind,
    SizeRule,
    Special,
    Strategy,
)
from aiops.spec.load.load import load
from aiops.spec.routes.resolve import resolve

SOURCES = {
    "aiops.yaml": b"gateway: {port: 4000}\n",
    "providers.yaml": b"""providers:
  one: {type: vllm, base_url: "http://127.0.0.1:8001", models: [alpha]}
  two: {type: openai_compatible, base_url: "https://models.example.org", models: [beta], api_key_file: /etc/two.key}
  three: {type: openai, models: [gamma], api_key_env: OPENAI_API_KEY}
""",
    "model-mappings.yaml": b"fallback_chains: {alpha: [beta]}\n",
}


def exported(rules: RoutingTable | None = None) -> tuple[dict[str, Any], Stock]:
    state = load(SOURCES, {})
    stock = stock_config(state, resolve(state), rules or RoutingTable(), aiops_version="0")
    return yaml.safe_load(stock.content), stock


def group(strategy: Strategy = Strategy.SIMPLE_SHUFFLE, *members: Member, kind: RuleKind = "exact") -> Group:
    return Group("shared", kind, strategy, members, source="model-mappings.yaml:7")


def pattern(text: str, model: str | None = None) -> RoutingTable:
    rule = group(Strategy.DIRECT, Member("id", "one", model), kind="pattern")
    return RoutingTable(patterns=(PatternRule(text, rule),))


def test_nothing_in_it_needs_aiops() -> None:
    data, stock = exported()
    settings = b"\n".join(line for line in stock.content.splitlines() if not line.startswith(b"#"))
    assert b"aiops" not in settings
    assert data["general_settings"]["master_key"] == "os.environ/LITELLM_MASTER_KEY"
    assert [item["model_name"] for item in data["model_list"]] == ["alpha", "beta", "gamma"]
    assert data["router_settings"]["fallbacks"] == [{"alpha": ["beta"]}]
    assert stock.gaps == ()


def test_the_header_names_every_variable_that_it_needs_and_no_secret() -> None:
    _, stock = exported()
    head = stock.content.decode().partition("model_list")[0]
    assert "LITELLM_MASTER_KEY" in head
    assert "OPENAI_API_KEY" in head
    assert "AIOPS_KEY_TWO: what is in /etc/two.key" in head


@pytest.mark.parametrize(
    ("regex", "name"),
    [
        ("^Qwen/.*", "Qwen/*"),
        (r"^Qwen/Qwen2\.5-Coder.*$", "Qwen/Qwen2.5-Coder*"),
        ("^llama", "llama*"),
        (r".*\.gguf$", "*.gguf"),
        (r"\.gguf$", "*.gguf"),
        ("^exactly$", "exactly"),
        (".*", "*"),
    ],
)
def test_a_pattern_that_is_a_beginning_or_an_end_becomes_a_wildcard(regex: str, name: str) -> None:
    data, stock = exported(pattern(regex))
    last = data["model_list"][-1]
    assert last["model_name"] == name
    assert last["litellm_params"]["model"] == f"hosted_vllm/{name}"
    assert stock.gaps == ()


def test_a_pattern_for_one_model_asks_for_that_model() -> None:
    data, _ = exported(pattern("^any/.*", "alpha"))
    assert data["model_list"][-1]["litellm_params"]["model"] == "hosted_vllm/alpha"


def test_a_wildcard_is_told_the_options_and_the_price_of_its_provider() -> None:
    more = b"models: [alpha], options: {top_k: 40}, cost_per_1k_tokens: 0.5}"
    providers = SOURCES["providers.yaml"].replace(b"models: [alpha]}", more)
    state = load({**SOURCES, "providers.yaml": providers}, {})
    stock = stock_config(state, resolve(state), pattern("^any/.*"), aiops_version="0")
    last = yaml.safe_load(stock.content)["model_list"][-1]
    assert last["litellm_params"]["top_k"] == 40
    assert last["model_info"] == {"mode": "chat", "input_cost_per_token": 0.0005, "output_cost_per_token": 0.0005}


@pytest.mark.parametrize("regex", [r".*:\d+[bB]$", "^(a|b).*", "^a.b", "foo", "^a+"])
def test_any_other_pattern_is_left_out_and_said_with_its_line(regex: str) -> None:
    data, stock = exported(pattern(regex))
    assert len(data["model_list"]) == 3
    assert stock.gaps == (f"the pattern `{regex}` (model-mappings.yaml:7): LiteLLM knows `*` only",)
    assert f"# {' ' * 2}{stock.gaps[0]}".encode() in stock.content


def test_of_several_wildcards_it_is_said_which_win() -> None:
    rules = [pattern(text).patterns[0] for text in ("^llama", "^llama.*", "^any/")]
    data, stock = exported(RoutingTable(patterns=tuple(rules)))
    assert [item["model_name"] for item in data["model_list"][3:]] == ["llama*", "any/*"]
    assert stock.gaps == (
        "the pattern `^llama.*` (model-mappings.yaml:7): the pattern `^llama` has `llama*` already",
        "of several names with `*` the longest wins, not the first of the file",
    )


def test_the_default_provider_is_the_wildcard_of_all_names() -> None:
    default = group(Strategy.DIRECT, Member("id", "three", None), kind="default")
    data, stock = exported(RoutingTable(default=replace(default, fallbacks=("alpha",))))
    assert data["model_list"][-1]["model_name"] == "*"
    assert data["model_list"][-1]["litellm_params"]["model"] == "openai/*"
    assert "no fallback to alpha" in stock.gaps[0]


MEMBERS = (Member("a", "one", "alpha"), Member("b", "two", "beta"))


@pytest.mark.parametrize(
    ("strategy", "called"),
    [
        (Strategy.LEAST_BUSY, "least-busy"),
        (Strategy.FASTEST_RESPONSE, "latency-based-routing"),
        (Strategy.USAGE_BASED, "usage-based-routing-v2"),
        (Strategy.COST_BASED, "cost-based-routing"),
        (Strategy.SIMPLE_SHUFFLE, "simple-shuffle"),
    ],
)
def test_one_strategy_for_all_is_litellms_own(strategy: Strategy, called: str) -> None:
    data, stock = exported(RoutingTable(names={"shared": group(strategy, *MEMBERS)}))
    assert data["router_settings"]["routing_strategy"] == called
    assert stock.gaps == ()


def test_a_share_of_slots_becomes_a_number_of_requests_and_that_is_said() -> None:
    data, stock = exported(RoutingTable(names={"shared": group(Strategy.LEAST_LOADED, *MEMBERS)}))
    assert data["router_settings"]["routing_strategy"] == "least-busy"
    assert "share of its slots" in stock.gaps[0]


def test_a_group_that_is_a_fallback_keeps_its_own_way_to_choose() -> None:
    sources = {
        "aiops.yaml": SOURCES["aiops.yaml"],
        "providers.yaml": b"""providers:
  one: {type: vllm, base_url: http://one:8000, models: [alpha]}
  two: {type: vllm, base_url: http://two:8000, models: [alpha, beta]}
""",
        "model-mappings.yaml": b"""
load_balancing: {alpha: {providers: [{provider: one}, {provider: two}]}}
fallback_chains: {beta: [alpha]}
special_cases: {error_based_routing: {error_threshold: 3}}
""",
    }
    state = load(sources, {})
    table = resolve(state)
    config = yaml.safe_load(stock_config(state, table, table.rules, aiops_version="0").content)
    shared = [item for item in config["model_list"] if item["model_name"] == "alpha"]
    assert ["order" in item["litellm_params"] for item in shared] == [False, False]
    assert config["router_settings"]["fallbacks"] == [{"beta": ["alpha"]}]


@pytest.mark.parametrize(("rename", "asked"), [("\\1", "*"), ("org/\\1", "org/*")])
def test_a_prefix_that_is_cut_off_or_replaced_is_so_in_litellm(rename: str, asked: str) -> None:
    rules = pattern("^lan/(.*)$")
    data, stock = exported(replace(rules, patterns=(replace(rules.patterns[0], rename=rename),)))
    last = data["model_list"][-1]
    assert (last["model_name"], last["litellm_params"]["model"]) == ("lan/*", f"hosted_vllm/{asked}")
    assert stock.gaps == ()


def test_two_strategies_are_one_too_many_and_that_is_said() -> None:
    names = {"x": group(Strategy.LEAST_LOADED, *MEMBERS), "y": group(Strategy.COST_BASED, *MEMBERS)}
    data, stock = exported(RoutingTable(names=names))
    assert data["router_settings"]["routing_strategy"] == "simple-shuffle"
    assert data["router_settings"]["enable_weighted_failover"] is True
    assert len(stock.gaps) == 2


@pytest.mark.parametrize("strategy", [Strategy.COMPLEXITY_BASED, Strategy.QUALITY_BASED, Strategy.ADAPTIVE_WEIGHTED])
def test_a_strategy_that_litellm_has_not_is_said(strategy: Strategy) -> None:
    _, stock = exported(RoutingTable(names={"shared": group(strategy, *MEMBERS)}))
    assert stock.gaps == (f"`shared` (model-mappings.yaml:7): simple-shuffle instead of {strategy.value}",)


def test_conditions_headers_sizes_and_special_cases_are_each_said() -> None:
    guarded = replace(MEMBERS[0], condition="tokens > 100")
    rules = RoutingTable(
        names={"shared": group(Strategy.SIMPLE_SHUFFLE, guarded, MEMBERS[1])},
        metadata=(MetadataRule("urgent", "one", 'header.x-priority == "high"', "model-mappings.yaml:9"),),
        sizes=(SizeRule(group(Strategy.DIRECT, MEMBERS[0])),),
        special=Special(warm_check=0.1, rate_limited=60.0, error_threshold=3, cooldown=30.0),
    )
    data, stock = exported(rules)
    told = "\n".join(stock.gaps)
    for word in ("tokens > 100", "x-priority", "size", "first_request_routing", "429", "error_based_routing"):
        assert word in told
    assert data["router_settings"]["allowed_fails"] == 2
    assert data["router_settings"]["cooldown_time"] == 30
    assert "disable_cooldowns" not in data["router_settings"]


def test_the_same_input_gives_the_same_bytes() -> None:
    assert exported()[1] == exported()[1]


def test_litellm_reads_every_setting_that_is_only_written_here() -> None:
    from litellm import Router
    from litellm.utils import get_deployment_order

    read = inspect.signature(Router.__init__).parameters
    for name in ("routing_strategy", "enable_weighted_failover", "allowed_fails", "cooldown_time"):
        assert name in read
    data, _ = exported(RoutingTable(names={"alpha": group(Strategy.DIRECT, *_members_of_alpha())}))
    assert [get_deployment_order(item) for item in data["model_list"] if item["model_name"] == "alpha"] == [1]


def _members_of_alpha() -> tuple[Member, ...]:
    """The deployment that the sources have, and one more so that it is a group."""
    data, _ = exported()
    return (Member(data["model_list"][0]["model_info"]["id"], "one", "alpha"), MEMBERS[1])
