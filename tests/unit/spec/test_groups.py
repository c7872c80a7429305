"""Balanced names, capabilities and rules lead to deployments."""

from __future__ import annotations

import json

import pytest

from aiops.errors import InvalidState
from aiops.spec.choosing.rules import Group, Member, RoutingTable, Strategy
from aiops.spec.load.load import load
from aiops.spec.routes.deployments import hidden, hidden_members, identity
from aiops.spec.routes.notes import notes
from aiops.spec.routes.resolve import resolve
from aiops.spec.routes.routes import Route, RouteTable

PROVIDERS = """\
providers:
  local:
    {type: ollama, base_url: http://h:1, models:
     [{name: "chat:8b", context_length: 8192}, small, {name: embed, mode: embedding}]}
  gpu: {type: vllm, base_url: http://h:2, models: [{name: org/coder-7B, context_length: 4096}]}
  cpp: {type: llama_cpp, base_url: http://h:3, models: [{name: tiny, size: 137M}, {name: "chat:8b"}]}
  off: {type: vllm, base_url: http://h:4, status: disabled, models: [asleep]}
  cloud: {type: openai, api_key_env: KEY, models: [{name: "vast-1t", context_length: 100000}]}
exact: {}
"""
# `cpp` lists a name that `local` lists too: an exact match, or balancing it, decides.
DECIDED = 'exact_matches: {"chat:8b": {provider: local}, coder: {provider: gpu, backend_model: org/coder-7B}}\n'


def table(mappings: str, workers: int = 1) -> RouteTable:
    return resolve(load(sources(mappings, workers), {}))


def sources(mappings: str, workers: int = 1) -> dict[str, bytes]:
    return {
        "aiops.yaml": f"gateway: {{port: 4000, workers: {workers}}}".encode(),
        "providers.yaml": PROVIDERS.replace("exact: {}\n", "").encode(),
        "model-mappings.yaml": (DECIDED + mappings).encode(),
    }


def route(served: RouteTable, name: str) -> Route:
    found = served.route(name)
    assert found is not None
    return found


def places(members: tuple[Member, ...]) -> list[tuple[str, str | None]]:
    return [(member.provider, member.model) for member in members]


def default_of(served: RouteTable) -> Group:
    assert served.rules.default is not None
    return served.rules.default


# -- balanced names


def test_a_member_answers_with_the_preferred_model_else_its_own_of_that_name_else_a_stand_in() -> None:
    served = table(
        'load_balancing:\n  "chat:8b": {providers: [{provider: local}, {provider: cpp}, {provider: gpu}]}\n'
        "  new: {providers: [{provider: local, preferred_model: small}, {provider: gpu, preferred_model: coder}]}\n"
        "  coder: {providers: [{provider: gpu}, {provider: local}]}\n"
        "  embed: {providers: [{provider: local}]}\n"
    )
    assert places(route(served, "chat:8b").members) == [
        ("local", "chat:8b"),
        ("cpp", "chat:8b"),
        ("gpu", "org/coder-7B"),
    ]
    assert places(route(served, "new").members) == [("local", "small"), ("gpu", "org/coder-7B")]
    assert places(route(served, "coder").members) == [("gpu", "org/coder-7B"), ("local", "chat:8b")]
    assert route(served, "embed").mode == "embedding"


def test_weights_are_shares_whether_they_add_up_to_one_or_to_a_hundred() -> None:
    for weights in ((0.7, 0.3), (70, 30)):
        members = f"[{{provider: local, weight: {weights[0]}}}, {{provider: gpu, weight: {weights[1]}}}]"
        served = table(f"load_balancing: {{both: {{providers: {members}, strategy: weighted-round-robin}}}}")
        assert [round(member.weight, 9) for member in route(served, "both").members] == [0.7, 0.3]
        assert served.rules.names["both"].strategy is Strategy.WEIGHTED_ROUND_ROBIN


def test_a_group_without_a_strategy_takes_the_default_one() -> None:
    group = "load_balancing: {both: {providers: [{provider: local}, {provider: gpu}]}}\n"
    assert route(table(group), "both").strategy == "simple-shuffle"
    assert route(table(group + "routing_rules: {default_strategy: least_busy}"), "both").strategy == "least-busy"


def test_members_of_disabled_providers_drop_out_and_one_member_is_no_choice() -> None:
    served = table(
        "load_balancing:\n  three: {providers: [{provider: off}, {provider: local}, {provider: gpu}]}\n"
        "  two: {providers: [{provider: off}, {provider: gpu}]}\n"
    )
    assert places(route(served, "three").members) == [("local", "chat:8b"), ("gpu", "org/coder-7B")]
    assert "two" in served.rules.plain
    assert route(served, "two").provider == "gpu"


def test_fallbacks_of_a_balanced_name_are_those_of_its_exact_match_and_chain() -> None:
    served = table(
        'load_balancing: {"chat:8b": {providers: [{provider: local}, {provider: gpu}]}}\n'
        'fallback_chains: {"chat:8b": [small], coder: ["chat:8b"]}\n'
    )
    assert served.rules.names["chat:8b"].fallbacks == ("small",)
    assert route(served, "coder").fallbacks == ("chat:8b",)


# -- capabilities


def test_a_capability_is_served_by_its_models_in_order_and_a_provider_by_its_first_chat_model() -> None:
    served = table(
        "capabilities:\n  code: {preferred_models: [coder, cpp, small], fallback: local}\n"
        "  any: {providers: [gpu, local]}\n"
    )
    assert places(route(served, "code").members) == [("gpu", "org/coder-7B"), ("cpp", "tiny"), ("local", "small")]
    assert places(route(served, "any").members) == [("gpu", "org/coder-7B"), ("local", "chat:8b")]
    code = served.rules.names["code"]
    assert (code.kind, code.strategy, code.fallbacks) == ("capability", Strategy.DIRECT, ("chat:8b",))
    assert code.members[0].deployment == identity("code", "gpu", "org/coder-7B")


def test_a_capability_with_one_model_is_a_group_all_the_same() -> None:
    assert places(table("capabilities: {fast: {provider: cpp}}").rules.names["fast"].members) == [("cpp", "tiny")]


def test_a_balanced_name_in_a_capability_stands_for_its_members() -> None:
    served = table(
        'load_balancing: {"chat:8b": {providers: [{provider: local, weight: 0.7}, {provider: cpp, weight: 0.3}]}}\n'
        'capabilities: {talk: {preferred_models: ["chat:8b", coder]}}\n'
    )
    assert places(route(served, "talk").members) == [("local", "chat:8b"), ("cpp", "chat:8b"), ("gpu", "org/coder-7B")]


def test_models_that_are_too_small_drop_out_whether_the_size_is_written_or_in_the_name() -> None:
    served = table('capabilities: {big: {preferred_models: [tiny, coder, "chat:8b", vast-1t], min_model_size: 8B}}')
    assert places(route(served, "big").members) == [("local", "chat:8b"), ("cloud", "vast-1t")]
    served = table('capabilities: {long: {preferred_models: [coder, "chat:8b", vast-1t], min_context: 8192}}')
    assert places(route(served, "long").members) == [("local", "chat:8b"), ("cloud", "vast-1t")]


def test_levels_become_tokens_and_come_before_models_without_one() -> None:
    served = table(
        "capabilities:\n"
        "  code:\n    preferred_models: [small, vast-1t, coder]\n    routing_strategy: complexity_based\n"
        '    complexity_thresholds: {low: coder, medium: {model: "chat:8b", above: 70}, high: vast-1t}\n'
        "  steep:\n    routing_strategy: complexity_based\n    complexity_thresholds: {medium: coder, high: vast-1t}\n"
    )
    code = [(member.model, member.above) for member in route(served, "code").members]
    assert code == [("vast-1t", 100), ("org/coder-7B", 0), ("chat:8b", 70), ("small", 0)]
    steep = [(member.model, member.above) for member in route(served, "steep").members]
    assert steep == [("org/coder-7B", 0), ("vast-1t", 100)], "the lowest level takes what is below it"


def test_a_capability_whose_providers_are_disabled_is_answered_by_its_fallback() -> None:
    served = table("capabilities: {night: {provider: off, fallback: coder}, gone: {provider: off}}")
    night = served.rules.names["night"]
    assert places(night.members) == [("gpu", "org/coder-7B")]
    assert route(served, "night").substitute_for == "off"
    assert ("gone", "off") in [(item.model, item.provider) for item in served.unrouted]


# -- patterns, sizes, default


def test_a_pattern_passes_the_name_on_unless_its_provider_has_but_one_model() -> None:
    served = table(
        'patterns:\n  - {pattern: "^a", provider: local}\n  - {pattern: "^b", provider: gpu}\n'
        '  - {pattern: "^c", provider: local, backend_model: small, fallback: gpu}\n'
    )
    groups = [rule.group for rule in served.rules.patterns]
    assert [places(group.members) for group in groups] == [
        [("local", None)],
        [("gpu", "org/coder-7B")],
        [("local", "small")],
    ]
    assert [group.fallbacks for group in groups] == [(), (), ("coder",)]
    assert groups[0].members[0].deployment == hidden("local", None)
    assert [(one.provider, one.model) for one in hidden_members(served.rules)] == [
        ("gpu", "org/coder-7B"),
        ("local", None),
        ("local", "small"),
    ]


def test_rules_of_a_disabled_provider_are_answered_by_the_fallback_or_skipped_and_named() -> None:
    served = table(
        'patterns:\n  - {pattern: "^a", provider: off, fallback: small}\n  - {pattern: "^b", provider: off}\n'
        "routing_rules: {default_provider: off}\n"
    )
    assert [(rule.pattern, places(rule.group.members)) for rule in served.rules.patterns] == [
        ("^a", [("local", "small")])
    ]
    assert served.rules.default is None
    assert [item.model for item in served.unrouted if item.provider == "off"] == [
        "asleep",
        "patterns `^b`",
        "default_provider",
    ]


def test_the_default_chain_comes_after_the_fallback_of_a_rule() -> None:
    served = table(
        "routing_rules: {default_provider: gpu, default_fallback: local}\nfallback_chains: {default: [small, embed]}"
    )
    assert default_of(served).fallbacks == ("chat:8b", "small")


# -- rules about requests


def test_a_metadata_rule_adds_its_provider_where_it_lists_the_name() -> None:
    rule = "routing_rules: {request_metadata_routing: {urgent: {provider: cpp, condition: stream}}}\n"
    served = table(rule)
    assert set(served.rules.names) == {"chat:8b"}
    chat = served.rules.names["chat:8b"]
    assert (chat.strategy, places(chat.members)) == (Strategy.DIRECT, [("local", "chat:8b"), ("cpp", "chat:8b")])
    assert chat.members[0].deployment == identity("chat:8b", "local", "chat:8b"), "its own deployment stays what it is"
    assert chat.members[1].deployment == hidden("cpp", "chat:8b")


TWO = """\
providers:
  a: {type: ollama, base_url: http://h:1, models: [{name: e, mode: embedding}, m]}
  b: {type: vllm, base_url: http://h:2, models: [e, m]}
  c: {type: vllm, base_url: http://h:3, models: [{name: v, mode: embedding}, w]}
"""


def of_two(mappings: str) -> RouteTable:
    files = {"aiops.yaml": "gateway: {port: 4000}", "providers.yaml": TWO, "model-mappings.yaml": mappings}
    return resolve(load({file: text.encode() for file, text in files.items()}, {}))


def test_a_metadata_rule_adds_nobody_who_is_a_member_already_or_answers_another_kind_of_request() -> None:
    rule = "routing_rules: {request_metadata_routing: {urgent: {provider: b, condition: stream}}}\n"
    served = of_two(f"exact_matches: {{e: {{provider: a}}, m: {{provider: a}}}}\n{rule}")
    assert {name: places(group.members) for name, group in served.rules.names.items()} == {
        "m": [("a", "m"), ("b", "m")]
    }
    balanced = "load_balancing: {m: {providers: [{provider: a}, {provider: b}]}}\n"
    served = of_two(f"exact_matches: {{e: {{provider: a}}}}\n{balanced}{rule}")
    assert places(served.rules.names["m"].members) == [("a", "m"), ("b", "m")]


def test_the_only_model_of_a_server_is_its_first_for_chats() -> None:
    decided = "exact_matches: {e: {provider: a}, m: {provider: a}}\n"
    served = of_two(decided + "patterns: [{pattern: '^x', provider: c}]\n")
    assert places(served.rules.patterns[0].group.members) == [("c", "w")]


def test_where_providers_can_be_avoided_the_fallbacks_of_a_plain_name_are_members() -> None:
    chains = "fallback_chains: {coder: [small, vast-1t]}\n"
    assert "coder" in table(chains).rules.plain
    served = table(chains + "special_cases: {rate_limited_fallback: {enabled: true}}")
    coder = served.rules.names["coder"]
    assert places(coder.members) == [("gpu", "org/coder-7B"), ("local", "small"), ("cloud", "vast-1t")]
    assert (coder.strategy, coder.fallbacks) == (Strategy.DIRECT, ())
    assert "coder" in table(chains + "special_cases: {rate_limited_fallback: {enabled: false}}").rules.plain


def test_special_cases_are_off_unless_they_are_written() -> None:
    assert table("").rules.special.error_threshold is None
    special = table(
        "special_cases:\n  first_request_routing: {warm_check_timeout_ms: 250}\n  rate_limited_fallback: {}\n"
        "  error_based_routing: {error_threshold: 7, cooldown_seconds: 5}\n"
    ).rules.special
    assert (special.warm_check, special.rate_limited) == (0.25, 60)
    assert (special.error_threshold, special.cooldown) == (7, 5)


def test_a_limit_belongs_to_its_name() -> None:
    served = table("").route("coder")
    assert served is not None and served.rpm is None
    limited = resolve(
        load(
            {
                **sources(""),
                "model-mappings.yaml": DECIDED.replace(
                    "backend_model: org/coder-7B", "backend_model: org/coder-7B, rate_limit: {rpm: 5, tpm: 900}"
                ).encode(),
            },
            {},
        )
    )
    assert (route(limited, "coder").rpm, route(limited, "coder").tpm) == (5, 900)


# -- as data


def test_routes_and_rules_read_back_as_they_were() -> None:
    served = table(
        "load_balancing: {both: {providers: [{provider: local}, {provider: gpu, condition: stream}]}}\n"
        'patterns: [{pattern: "^a", provider: local}]\n'
        'routing_rules: {default_provider: local, model_size_routing: [{size: "> 8B", provider: gpu}]}\n'
    )
    assert RouteTable.from_json(served.to_json()) == served
    assert RoutingTable.from_json(served.rules.to_json()) == served.rules
    assert json.loads(served.rules.to_json())["sizes"][0]["over"] == 8


def test_a_name_is_in_the_table_or_plain_and_never_both() -> None:
    served = table("load_balancing: {both: {providers: [{provider: local}, {provider: gpu}]}}")
    assert set(served.rules.plain) | set(served.rules.names) == set(served.models)
    assert not set(served.rules.plain) & set(served.rules.names)


def test_a_broken_provider_does_not_make_the_groups_wrong_that_name_it() -> None:
    broken = sources(
        "load_balancing: {both: {providers: [{provider: local}, {provider: gpu, preferred_model: coder}]}}\n"
        "capabilities: {code: {preferred_models: [coder, small]}}\n"
    )
    broken["providers.yaml"] = broken["providers.yaml"].replace(b"http://h:2", b"nowhere")
    with pytest.raises(InvalidState) as caught:
        load(broken, {})
    assert [problem.file for problem in caught.value.problems] == ["providers.yaml"]


# -- notes


def remarks(mappings: str, workers: int = 1) -> list[str]:
    state = load(sources(mappings, workers), {})
    return [note.message for note in notes(state, resolve(state))]


def test_patterns_that_overlap_are_shadowed_or_match_nothing_are_noted() -> None:
    found = remarks(
        'patterns:\n  - {pattern: "^org/", provider: gpu}\n  - {pattern: "coder-7B$", provider: local}\n'
        '  - {pattern: "^nothing", provider: local}\n  - {pattern: "vast", provider: local}\n'
    )
    assert found == [
        "the pattern `coder-7B$` never wins: earlier ones match every known name that it matches",
        "the patterns `^org/` and `coder-7B$` both match `org/coder-7B`; the first wins",
        "the pattern `^nothing` matches no known name",
    ]


def test_sizes_that_overlap_or_leave_a_gap_are_noted() -> None:
    sizes = "[{size: '%s', provider: gpu}, {size: '%s', provider: local}]"
    rules = "routing_rules: {model_size_routing: " + sizes + "}"
    assert remarks(rules % ("<= 8B", "> 8B")) == []
    assert remarks(rules % ("< 8B", "> 8B")) == ["no rule is for models of 8B"]
    assert remarks(rules % ("< 8B", ">= 7B")) == ["the sizes `< 8B` and `>= 7B` overlap; the first wins"]


def test_what_has_no_effect_at_present_is_noted() -> None:
    assert remarks("fallback_chains: {coder: [asleep, small]}") == [
        "the chain of `coder` does not reach `asleep` at present"
    ]
    assert remarks("load_balancing: {two: {providers: [{provider: off}, {provider: gpu}]}}") == [
        "`two`: only `gpu` of its providers is active"
    ]
    rule = "routing_rules: {request_metadata_routing: {urgent: {provider: %s, condition: stream}}}\n"
    assert remarks(rule % "cpp") == []
    assert remarks(rule % "cloud") == ["`urgent` does nothing: no name can be answered by `cloud` and by another"]
    assert remarks(rule % "off") == ["`urgent` does nothing while `off` is disabled"]
    assert remarks("special_cases: {error_based_routing: {}}") == [
        "`special_cases` change nothing: no name has a second provider or a fallback"
    ]
