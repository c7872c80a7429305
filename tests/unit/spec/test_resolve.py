"""Who answers which name, and who stands by."""

from __future__ import annotations

import pytest

from aiops.spec.load.load import load
from aiops.spec.routes.resolve import resolve
from aiops.spec.routes.routes import Route, RouteTable, Unrouted


def table(providers: str, mappings: str = "") -> RouteTable:
    sources = {"aiops.yaml": b"gateway: {port: 4000}\n", "providers.yaml": providers.encode()}
    if mappings:
        sources["model-mappings.yaml"] = mappings.encode()
    return resolve(load(sources, {}))


def route(table: RouteTable, model: str) -> Route:
    found = table.route(model)
    assert found is not None
    return found


def providers(**status: str) -> str:
    """Providers a, b and c, each with a model of its own and one that all three list under the same name."""
    lines = "providers:\n"
    for port, name in enumerate("abc", start=1):
        lines += f"  {name}: {{type: vllm, base_url: 'http://h:{port}', status: {status.get(name, 'active')}, "
        lines += f"models: [{name}1, {name}2]}}\n"
    return lines


def test_every_model_of_an_active_provider_is_served_under_its_own_name() -> None:
    served = table(providers(c="disabled"))
    assert served.models == ("a1", "a2", "b1", "b2")
    assert [item.model for item in served.unrouted] == ["c1", "c2"]


def test_an_exact_match_gives_a_model_another_name() -> None:
    served = table(providers(), "exact_matches: {fast: {provider: a, backend_model: a1}}")
    assert (route(served, "fast").provider, route(served, "fast").backend_model) == ("a", "a1")
    assert route(served, "a1").backend_model == "a1"


def test_an_exact_match_decides_between_providers_that_offer_the_same_name() -> None:
    text = "providers:\n" + "".join(
        f"  {n}: {{type: vllm, base_url: 'http://h:{i}', models: [m, only-{n}]}}\n" for i, n in enumerate("ab", 1)
    )
    assert route(table(text, "exact_matches: {m: {provider: b}}"), "m").provider == "b"


def test_an_active_provider_takes_a_name_over_from_a_disabled_one() -> None:
    text = "providers:\n  a: {type: vllm, base_url: 'http://h:1', status: disabled, models: [m]}\n"
    text += "  b: {type: vllm, base_url: 'http://h:2', models: [m]}\n"
    assert route(table(text), "m").provider == "b"
    assert route(table(text), "m").substitute_for is None


def test_fallbacks_are_the_own_one_then_the_chain_without_repeats_and_without_oneself() -> None:
    mappings = (
        "exact_matches: {a1: {provider: a, fallback: c1}}\n"
        "fallback_chains: {a1: [c1, c2], c1: [], default: [a1, c2, a2]}"
    )
    served = table(providers(), mappings)
    assert route(served, "a1").fallbacks == ("c1", "c2")
    assert route(served, "a2").fallbacks == ("a1", "c2")
    assert route(served, "b1").fallbacks == ("a1", "c2", "a2")


def test_an_empty_chain_of_ones_own_ends_there() -> None:
    served = table(providers(), "fallback_chains: {a1: {chain: []}, default: [b1]}")
    assert route(served, "a1").fallbacks == ()
    assert route(served, "a2").fallbacks == ("b1",)


def test_fallbacks_are_not_transitive() -> None:
    served = table(providers(), "fallback_chains: {a1: [b1], b1: [c1]}")
    assert route(served, "a1").fallbacks == ("b1",)


def test_a_provider_as_fallback_means_the_same_model_there_else_its_first_one() -> None:
    mappings = (
        "exact_matches:\n  x: {provider: a, backend_model: a1, fallback: b}\n"
        "  same: {provider: b, backend_model: b2}\n  y: {provider: b, backend_model: b2, fallback: b}\n"
    )
    served = table(providers(), mappings)
    assert route(served, "x").fallbacks == ("b1",)
    assert route(served, "y").fallbacks == ("same",)


def test_a_model_of_a_disabled_provider_is_answered_by_its_first_live_fallback() -> None:
    mappings = "exact_matches: {a1: {provider: a, fallback: b1}}\nfallback_chains: {a1: [c1, c2]}"
    served = table(providers(a="disabled", b="disabled"), mappings)
    assert route(served, "a1") == Route("a1", "c", "c1", ("c2",), substitute_for="a")
    assert Unrouted("a2", "a", "`a` is disabled and no fallback is live") in served.unrouted


def test_disabled_models_are_dropped_from_the_chains_of_others() -> None:
    served = table(providers(b="disabled"), "fallback_chains: {a1: [b1, c1]}")
    assert route(served, "a1").fallbacks == ("c1",)


def test_a_template_is_never_served() -> None:
    text = (
        providers()
        + "  t: {type: openai_compatible, base_url: 'http://h:CUSTOM_PORT', status: template, models: [t1]}\n"
    )
    assert "t1" not in table(text).models


def test_the_default_chain_does_not_offer_a_chat_model_for_embeddings() -> None:
    text = "providers:\n  a: {type: ollama, base_url: 'http://h:1', models: [{name: e, mode: embedding}, c, d]}\n"
    served = table(text, "fallback_chains: {default: [d]}")
    assert route(served, "e").fallbacks == ()
    assert route(served, "c").fallbacks == ("d",)


def test_what_the_operator_wrote_is_carried_along() -> None:
    text = (
        "providers:\n  a:\n    type: vllm\n    base_url: http://h:1\n    description: the box\n    features: [fast]\n"
        '    models: [{name: m, size: "7B", context_length: 4096, tags: [x], description: theirs}]\n'
    )
    mappings = (
        "exact_matches: {alias: {provider: a, backend_model: m, description: ours, priority: primary, tags: [y]}}"
    )
    assert dict(route(table(text, mappings), "alias").info) == {
        "size": "7B",
        "context_length": 4096,
        "description": "ours",
        "priority": "primary",
        "tags": ["x", "y"],
        "provider_description": "the box",
        "provider_features": ["fast"],
    }


def test_a_table_survives_json() -> None:
    served = table(providers(a="disabled"), "fallback_chains: {a1: [b1, c1]}")
    assert RouteTable.from_json(served.to_json()) == served
    assert served.to_json() == RouteTable.from_json(served.to_json()).to_json()


def test_that_a_model_costs_nothing_is_not_the_same_as_that_nobody_said() -> None:
    served = table(providers().replace("status: active", "status: active, cost_per_1k_tokens: 0"))
    assert route(RouteTable.from_json(served.to_json()), "a1").cost == 0
    assert route(RouteTable.from_json(table(providers()).to_json()), "a1").cost is None


@pytest.mark.parametrize(
    ("profile", "strategy"), [("cost", "cost-based"), ("dev", "simple-shuffle"), ("prod", "least_loaded")]
)
@pytest.mark.parametrize("said", ["", "routing_rules: {default_strategy: usage_based}"])
@pytest.mark.shows("aiops.yaml: profile")
def test_the_profile_says_how_groups_choose_where_nothing_else_does(profile: str, strategy: str, said: str) -> None:
    pool = (
        "load_balancing: {pool: {providers: [{provider: a, preferred_model: a1}, {provider: b, preferred_model: b1}]}}"
    )
    sources = {
        "aiops.yaml": f"gateway: {{port: 4000}}\nprofile: {profile}\n".encode(),
        "providers.yaml": providers().encode().replace(b"http://h:", b"http://127.0.0.1:1"),
        "model-mappings.yaml": f"{pool}\n{said}\n".encode(),
    }
    assert resolve(load(sources, {})).rules.names["pool"].strategy == ("usage_based" if said else strategy)
