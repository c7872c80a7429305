"""A diff says in words what a change means for those who use the gateway."""

from __future__ import annotations

from dataclasses import replace

from aiops.plan.diff import Change, Diff, diff
from aiops.plan.plan import Pending, Plan, make_plan
from aiops.render.release import render
from aiops.render.routes import read_routes
from aiops.spec.load.load import load
from aiops.spec.routes.resolve import resolve

SETTINGS = "gateway: {port: 4000}\n"
PROVIDERS = """\
providers:
  a: {type: vllm, base_url: http://h:1, models: [a1, a2]}
  b: {type: vllm, base_url: http://h:2, models: [b1]}
"""
MAPPINGS = "exact_matches: {a1: {provider: a, fallback: b1}}\n"


def release(settings: str = SETTINGS, providers: str = PROVIDERS, mappings: str = MAPPINGS) -> dict[str, bytes]:
    texts = {"aiops.yaml": settings, "providers.yaml": providers, "model-mappings.yaml": mappings}
    state = load({file: text.encode() for file, text in texts.items()}, {})
    return render(state, resolve(state), aiops_version="1")


def changed(**texts: str) -> Diff:
    old, was = read_routes(release()["routes.json"])
    new, now = read_routes(release(**texts)["routes.json"])
    return diff(old, new, was, now)


def plan(base: int | None = 3, **texts: str) -> Plan:
    sources = {"aiops.yaml": SETTINGS, "providers.yaml": PROVIDERS, "model-mappings.yaml": MAPPINGS}
    sources |= {
        f"{'aiops' if key == 'settings' else key if key == 'providers' else 'model-mappings'}.yaml": text
        for key, text in texts.items()
    }
    state = load({file: text.encode() for file, text in sources.items()}, {})
    table = resolve(state)
    before = read_routes(release()["routes.json"])
    return make_plan(base, before, state, table, render(state, table, aiops_version="1"))


def test_equal_states_have_no_differences() -> None:
    assert changed().lines() == []
    assert changed(providers="# a comment\n" + PROVIDERS).lines() == []


def test_the_first_generation_lists_what_it_serves() -> None:
    new, now = read_routes(release()["routes.json"])
    first = diff(None, new, None, now)
    assert first.lines() == [
        "+ provider a: vllm at http://h:1",
        "+ provider b: vllm at http://h:2",
        "+ model a1: a, then b1",
        "+ model a2: a",
        "+ model b1: b",
    ]
    assert first.changed_models == ("a1", "a2", "b1")


def test_a_new_provider_and_its_models_are_named_and_only_they_are_proved() -> None:
    found = changed(providers=PROVIDERS + "  c: {type: ollama, base_url: http://h:3, models: [c1]}\n")
    assert found.lines() == ["+ provider c: ollama at http://h:3", "+ model c1: c"]
    assert found.changed_models == ("c1",)


def test_disabling_a_provider_says_who_answers_meanwhile_and_who_is_not_served() -> None:
    found = changed(providers=PROVIDERS.replace("h:1, models", "h:1, status: disabled, models"))
    assert found.lines() == [
        "~ provider a: status active -> disabled",
        "~ model a1: provider a -> b in place of a; backend a1 -> b1; fallbacks [b1] -> []",
        "- model a2: no route: `a` is disabled and no fallback is live",
    ]
    assert found.changed_models == ("a1",)


def test_a_removed_model_goes() -> None:
    found = changed(providers=PROVIDERS.replace("[a1, a2]", "[a1]"))
    assert found.lines() == ["~ provider a: models 2 -> 1", "- model a2"]
    assert found.changed_models == ()


def test_another_address_has_every_model_of_the_provider_proved() -> None:
    found = changed(providers=PROVIDERS.replace("http://h:1", "http://h:9"))
    assert found.lines() == ["~ provider a: url http://h:1 -> http://h:9"]
    assert found.changed_models == ("a1", "a2")


def test_other_fallbacks_are_a_change_that_needs_no_new_proof_of_the_model_itself() -> None:
    found = changed(mappings="exact_matches: {a1: {provider: a, fallback: a2}}\n")
    assert found.lines() == ["~ model a1: fallbacks [b1] -> [a2]"]
    assert found.changed_models == ()
    assert found.new_fallbacks == ("a1",), "but the way there does"
    assert changed(mappings="exact_matches: {a1: {provider: a}}\n").new_fallbacks == ()


def test_documentation_and_settings_are_named() -> None:
    described = MAPPINGS.replace("fallback: b1", "fallback: b1, description: good")
    assert changed(mappings=described).lines() == ["~ model a1: documentation (description)"]
    settings = "gateway: {port: 4001, workers: 2, stream_timeout: 5}\n"
    assert changed(settings=settings).lines() == [
        "~ setting gateway.port: 4000 -> 4001",
        "~ setting gateway.stream_timeout: none -> 5",
        "~ setting gateway.workers: 1 -> 2",
    ]


def test_a_plans_digest_stands_for_base_sources_and_release() -> None:
    assert plan().digest == plan().digest
    others = [plan(base=4), plan(providers=PROVIDERS + "# comment\n"), plan(settings="gateway: {port: 4001}\n")]
    assert len({plan().digest, *(other.digest for other in others)}) == 4


def test_a_plan_names_models_without_a_route_and_proofs_that_cost_money() -> None:
    providers = PROVIDERS.replace("h:2, models", "h:2, status: disabled, models")
    providers += "  c: {type: openai, api_key_env: K, models: [gpt]}\n"
    found = plan(providers=providers)
    assert [item.model for item in found.unrouted] == ["b1"]
    assert found.newly_unrouted == found.unrouted
    assert found.billable_probes == ("gpt",)
    assert "! b1 is not served: `b` is disabled and no fallback is live" in found.lines()
    assert "! proving gpt calls a billable provider" in found.lines()
    assert found.to_json()["digest"] == found.digest


def test_groups_and_rules_are_said_in_words() -> None:
    rules = (
        "load_balancing:\n  both: {providers: [{provider: a, weight: 0.7}, {provider: b, weight: 0.3}], "
        "strategy: weighted_round_robin}\n"
        "capabilities:\n  code: {preferred_models: [a2, b1], fallback: a1}\n"
        'patterns:\n  - {pattern: "^x", provider: a, fallback: b, description: why}\n  - {pattern: "^y", provider: b}\n'
        "routing_rules: {default_provider: a, request_metadata_routing: {urgent: {provider: b, condition: stream}}}\n"
        "special_cases: {error_based_routing: {error_threshold: 4}}\n"
    )
    assert changed(mappings=MAPPINGS + rules).lines() == [
        "+ model both: balanced (weighted_round_robin) over a as a1 (70 %), b as b1 (30 %)",
        "+ model code: capability (direct) over a as a2, b as b1, then a1",
        "+ rule default_provider: a",
        "+ rule metadata urgent: b when stream",
        "+ rule pattern ^x: a, then b (why)",
        "+ rule pattern ^y: b",
        "~ setting error_based_routing.cooldown_seconds: none -> 60",
        "~ setting error_based_routing.enabled: none -> true",
        "~ setting error_based_routing.error_threshold: none -> 4",
    ]


def between(old: str, new: str) -> Diff:
    before, was = read_routes(release(mappings=MAPPINGS + old)["routes.json"])
    after, now = read_routes(release(mappings=MAPPINGS + new)["routes.json"])
    return diff(before, after, was, now)


def test_a_group_that_changes_says_what_and_is_proved_only_when_somebody_new_answers() -> None:
    group = "load_balancing: {both: {providers: [{provider: a, weight: %s%s}, {provider: b, weight: %s}]%s}}\n"
    old = group % (0.7, "", 0.3, "")
    weights = between(old, group % (0.6, ", condition: stream", 0.4, ", strategy: least_loaded"))
    assert weights.lines() == [
        "~ model both: strategy simple-shuffle -> least_loaded; a as a1 (70 %) -> a as a1 (60 %, when stream); "
        "b as b1 (30 %) -> b as b1 (40 %)"
    ]
    assert weights.changed_models == ()
    member = between(old, group % (0.7, ", preferred_model: a2", 0.3, ""))
    assert member.lines() == ["~ model both: without a as a1 (70 %); with a as a2 (70 %)"]
    assert member.changed_models == ("both",)


def test_a_capability_that_another_answers_meanwhile_says_so_and_when_it_is_over() -> None:
    code = MAPPINGS + "capabilities: {code: {provider: b, fallback: a2}}\n"
    away = PROVIDERS.replace("h:2, models", "h:2, status: disabled, models")
    one, was = read_routes(release(mappings=code)["routes.json"])
    two, now = read_routes(release(mappings=code, providers=away)["routes.json"])
    [gone] = [line for line in diff(one, two, was, now).lines() if "model code" in line]
    [back] = [line for line in diff(two, one, now, was).lines() if "model code" in line]
    assert "answered in place of b" in gone
    assert "answered by itself again" in back


def test_patterns_in_another_order_are_a_change() -> None:
    one, two = '{pattern: "^x", provider: a}', '{pattern: "^y", provider: b}'
    assert between(f"patterns: [{one}, {two}]", f"patterns: [{two}, {one}]").lines() == [
        "~ rule order: the first that matches wins, and they are in another order now"
    ]


def test_what_only_rules_lead_to_is_said_of_its_provider() -> None:
    rule = 'patterns: [{pattern: "^x", provider: c}]\n'
    old = release(providers=PROVIDERS + "  c: {type: ollama, base_url: http://h:3}\n", mappings=MAPPINGS + rule)
    more = "options: {num_ctx: 4096}, cost_per_1k_tokens: 0.5, health_endpoint: /ping"
    new = release(
        providers=PROVIDERS + f"  c: {{type: ollama, base_url: http://h:3, {more}}}\n", mappings=MAPPINGS + rule
    )
    before, was = read_routes(old["routes.json"])
    after, now = read_routes(new["routes.json"])
    assert diff(before, after, was, now).lines() == [
        "~ provider c: cost_per_1k_tokens none -> 0.5; health_endpoint none -> /ping; options none -> {num_ctx: 4096}"
    ]


def test_a_member_that_stays_and_is_another_one_is_said_with_what_is_different() -> None:
    group = "load_balancing: {both: {providers: [{provider: a}, {provider: b}]}}\n"
    described = PROVIDERS.replace("[b1]}", "[{name: b1, size: 5B, mode: completion}], billable: true}")
    before, was = read_routes(release(mappings=group)["routes.json"])
    after, now = read_routes(release(mappings=group, providers=described)["routes.json"])
    assert (
        "~ model both: mode of b chat -> completion; b billable now; documentation of b (size); billable now"
        in diff(before, after, was, now).lines()
    )


def test_a_limit_is_said() -> None:
    limited = "exact_matches: {a1: {provider: a, fallback: b1, rate_limit: {rpm: 5}}}\n"
    assert changed(mappings=limited).lines() == ["~ model a1: rpm unlimited -> 5"]


def test_edits_by_hand_are_told_apart_from_what_the_verb_changes() -> None:
    edits = changed(providers=PROVIDERS.replace("[b1]", "[b1, b2]"))
    own = Diff((Change("-", "provider", "a"),))
    whole = plan(providers=PROVIDERS.replace("[b1]", "[b1, b2]"))
    both = replace(whole, pending=Pending(("providers.yaml",), edits, own))
    assert both.lines() == [
        "edited by hand in providers.yaml, not live yet, live with this:",
        "  ~ provider b: models 1 -> 2",
        "  + model b2: b",
        "changed by this verb:",
        "  - provider a",
    ]
    assert (both.own, both.digest) == (own, whole.digest)
    told = both.to_json()["pending"]
    assert [change["name"] for change in told["changes"]] == ["b", "b2"]
    assert [change["name"] for change in told["own"]] == ["a"]


def test_edits_that_a_rollback_takes_away_are_said_to_be_lost() -> None:
    lines = replace(plan(), pending=Pending(("aiops.yaml",), Diff(), Diff(), lost=True)).lines()
    assert lines[0] == "edited by hand in aiops.yaml, not live yet, lost with this:"


def test_what_keys_yaml_changes_is_said_as_the_edit_that_it_is() -> None:
    """Not below "nothing that changes what is served"."""
    row, drifted = Change("+", "key", "ci", "new"), Change("~", "key", "ci", "rpm_limit 7 -> 9; changed by hand since")
    one = replace(plan(), rows=(row,), pending=Pending(("keys.yaml",), Diff()))
    assert one.lines() == ["edited by hand in keys.yaml, not live yet, live with this:", "  + key ci: new"]
    own = Diff((Change("-", "provider", "a"),))
    both = replace(one, pending=Pending(("keys.yaml",), Diff(), own))
    assert both.lines() == [*one.lines(), "changed by this verb:", "  - provider a"]
    back = replace(one, pending=Pending(("keys.yaml",), Diff(), Diff(), lost=True))
    assert back.lines() == [
        "edited by hand in keys.yaml, not live yet, lost with this:",
        "  what keys.yaml says of teams and keys",
        "changed by this verb:",
        "  + key ci: new",
    ]
    elsewhere = replace(one, rows=(drifted,), pending=Pending(("aiops.yaml",), Diff()))
    assert elsewhere.lines() == [
        "edited by hand in aiops.yaml, not live yet, live with this:",
        "  nothing that changes what is served",
        str(drifted),
    ]


def test_what_was_without_a_route_before_is_not_said_with_each_plan() -> None:
    off = PROVIDERS.replace("h:1, models", "h:1, status: disabled, models")
    before = read_routes(release(providers=off)["routes.json"])
    texts = {"aiops.yaml": SETTINGS, "providers.yaml": off, "model-mappings.yaml": MAPPINGS}
    state = load({file: text.encode() for file, text in texts.items()}, {})
    again = make_plan(3, before, state, resolve(state), release(providers=off))
    assert [item.model for item in again.unrouted] == ["a2"]
    assert again.lines() == []
    assert "! a2 is not served: `a` is disabled" in " ".join(plan(providers=off).lines())
