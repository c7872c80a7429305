"""`aiops route explain`: the rule that wins, the order and why, what follows, what lost."""

from __future__ import annotations

import pytest

from aiops.spec.choosing.conditions import Facts
from aiops.spec.choosing.request_facts import facts_of
from aiops.spec.load.load import load
from aiops.spec.routes.explain import Explainer, Explanation
from aiops.spec.routes.resolve import resolve

PROVIDERS = """\
providers:
  cards: {type: vllm, base_url: http://cards:8000, models: [chat-7b]}
  lab: {type: ollama, base_url: http://lab:11434, models: [llama3, coder]}
  old: {type: ollama, base_url: http://old:11434, status: disabled, models: [gone, lost]}
"""
MAPPINGS = """\
exact_matches:
  fast: {provider: lab, backend_model: llama3, fallback: chat-7b}
  gone: {provider: old, fallback: coder}
load_balancing:
  chat:
    description: both of them
    strategy: direct
    providers:
      - {provider: cards, condition: "tokens > 100", preferred_model: chat-7b}
      - {provider: lab, preferred_model: llama3}
patterns:
  - {pattern: "^gpt-4", provider: cards, fallback: coder, priority: 9}
  - {pattern: "^gpt-", provider: lab, backend_model: llama3}
  - {pattern: "^fas", provider: lab, backend_model: llama3}
routing_rules:
  request_metadata_routing:
    private: {provider: lab, condition: "header.x-private == 'yes'", description: stays here}
fallback_chains:
  llama3: {chain: [coder]}
  coder: []
  default: {chain: [llama3]}
"""


def facts(name: str, tokens: int = 0, **headers: str) -> Facts:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return facts_of(name, headers=named, tokens=tokens, length=4 * tokens, stream=False, batch_size=1)


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    sources = {
        "aiops.yaml": b"gateway: {port: 4000}",
        "providers.yaml": PROVIDERS.encode(),
        "model-mappings.yaml": MAPPINGS.encode(),
    }
    state = load(sources, {})
    return Explainer(state, resolve(state))


def asked(told: Explanation) -> list[str]:
    return [f"{step.provider}/{step.model}" for step in told.members]


@pytest.mark.parametrize(
    ("name", "rule", "source"),
    [
        ("coder", "a model of lab", "providers.yaml:3"),
        ("fast", "an exact match", "model-mappings.yaml:2"),
        ("chat", "load balancing", "model-mappings.yaml:5"),
        ("gpt-4o", "the pattern `^gpt-4`", "model-mappings.yaml:12"),
        ("gpt-3", "the pattern `^gpt-`", "model-mappings.yaml:13"),
    ],
)
def test_the_rule_that_wins_is_named_with_its_line(explainer: Explainer, name: str, rule: str, source: str) -> None:
    told = explainer.explain(facts(name))
    assert (told.rule, told.source) == (rule, source)


def test_a_member_whose_condition_does_not_hold_comes_after_the_others(explainer: Explainer) -> None:
    assert asked(explainer.explain(facts("chat", tokens=200))) == ["cards/chat-7b", "lab/llama3"]
    told = explainer.explain(facts("chat", tokens=10))
    assert asked(told) == ["lab/llama3", "cards/chat-7b"]
    assert told.members[1].why == "in the order written; its condition `tokens > 100` does not hold"


def test_a_rule_about_the_request_moves_it_and_says_so(explainer: Explainer) -> None:
    told = explainer.explain(facts("chat", tokens=200, x_private="yes"))
    assert asked(told)[0] == "lab/llama3"
    assert told.notes == (
        "the routing rule `private` (model-mappings.yaml:17, stays here) moves it to `lab`: "
        "`header.x-private == 'yes'`",
    )


def test_every_fallback_says_why_it_is_one(explainer: Explainer) -> None:
    assert [(each.name, each.why) for each in explainer.explain(facts("fast")).fallbacks] == [
        ("chat-7b", "its own fallback"),
        ("llama3", "the default chain (model-mappings.yaml:21)"),
    ]
    assert [(each.name, each.why) for each in explainer.explain(facts("llama3")).fallbacks] == [
        ("coder", "its chain (model-mappings.yaml:19)")
    ]
    assert [(each.name, each.why) for each in explainer.explain(facts("gpt-4o")).fallbacks] == [
        ("coder", "the rule's fallback"),
        ("llama3", "the default chain (model-mappings.yaml:21)"),
    ]
    assert [each.why for each in explainer.explain(facts("gpt-3")).fallbacks] == [
        "the default chain (model-mappings.yaml:21)"
    ]


def test_what_remains_when_the_fallback_of_a_rule_is_disabled_is_not_called_its_own() -> None:
    mappings = MAPPINGS.replace("provider: cards, fallback: coder", "provider: cards, fallback: lost")
    sizes = "  default_provider: lab\n  model_size_routing: [{size: '< 8B', provider: cards, fallback: lab}]\n"
    sources = {
        "aiops.yaml": b"gateway: {port: 4000}",
        "providers.yaml": PROVIDERS.encode(),
        "model-mappings.yaml": mappings.replace("fallback_chains:", f"{sizes}fallback_chains:\n  lost: []").encode(),
    }
    state = load(sources, {})
    explainer = Explainer(state, resolve(state))
    why = {
        name: [each.why for each in explainer.explain(facts(name)).fallbacks] for name in ("gpt-4o", "new:7b", "new")
    }
    chain = "the default chain (model-mappings.yaml:24)"
    assert why == {"gpt-4o": [chain], "new:7b": ["the rule's fallback", chain], "new": [chain]}


def test_rules_that_match_and_lose_are_told(explainer: Explainer) -> None:
    assert explainer.explain(facts("fast")).shadowed == ("the pattern `^fas` matches too (model-mappings.yaml:14)",)
    assert explainer.explain(facts("gpt-4o")).shadowed == ("the pattern `^gpt-` matches too (model-mappings.yaml:13)",)


def test_a_priority_is_said_to_be_documentation(explainer: Explainer) -> None:
    assert explainer.explain(facts("gpt-4o")).notes == (
        "`priority: 9` is documentation: the first pattern of the file wins",
    )


def test_a_model_of_a_disabled_provider_says_who_answers_meanwhile(explainer: Explainer) -> None:
    told = explainer.explain(facts("gone"))
    assert asked(told) == ["lab/coder"]
    assert told.notes == ("`old` is disabled; `lab` answers for it",)


@pytest.mark.parametrize(
    ("tokens", "first"), [(0, "llama3"), (50, "llama3"), (51, "coder"), (70, "coder"), (71, "chat-7b")]
)
def test_a_level_begins_with_the_first_token_above_its_limit(tokens: int, first: str) -> None:
    levels = "{low: llama3, medium: coder, high: {model: chat-7b, above: 70}}"
    capability = f"capabilities: {{code: {{routing_strategy: complexity_based, complexity_thresholds: {levels}}}}}\n"
    sources = {
        "aiops.yaml": b"gateway: {port: 4000}",
        "providers.yaml": PROVIDERS.encode(),
        "model-mappings.yaml": capability.encode(),
    }
    state = load(sources, {})
    assert Explainer(state, resolve(state)).explain(facts("code", tokens=tokens)).members[0].model == first


def test_a_model_that_is_only_disabled_gets_the_reason_and_no_other_name() -> None:
    sources = {"aiops.yaml": b"gateway: {port: 4000}", "providers.yaml": PROVIDERS.replace("lost", "codec").encode()}
    state = load(sources, {})
    assert Explainer(state, resolve(state)).explain(facts("codec")).lines() == [
        "codec: nobody answers",
        "`old` is disabled and no fallback is live",
    ]


def test_a_name_nobody_knows_gets_the_nearest(explainer: Explainer) -> None:
    assert explainer.explain(facts("codr")).lines() == ["codr: nobody answers", "did you mean `coder`?"]


def test_for_people_it_is_a_few_lines(explainer: Explainer) -> None:
    assert explainer.explain(facts("chat", tokens=200)).lines() == [
        "chat: load balancing (model-mappings.yaml:5)",
        "description: both of them",
        "strategy: direct",
        "asked first: cards/chat-7b, in the order written",
        "lane: direct",
        "then: lab/llama3, in the order written",
        "lane: litellm, because LiteLLM asks it at /api/chat, with `num_ctx`, `keep_alive` and `think`; "
        "`lane: direct` asks it at /v1",
        "fallback: llama3 (lab), the default chain (model-mappings.yaml:21)",
    ]


def test_a_fallback_that_became_a_member_is_still_said_to_be_one() -> None:
    """Where providers can be avoided, so that an avoided one is not asked before it."""
    special = "special_cases: {error_based_routing: {enabled: true}}\n"
    sources = {
        "aiops.yaml": b"gateway: {port: 4000}",
        "providers.yaml": PROVIDERS.encode(),
        "model-mappings.yaml": f"{MAPPINGS}{special}".encode(),
    }
    state = load(sources, {})
    told = Explainer(state, resolve(state)).explain(facts("fast"))
    assert [step.why for step in told.members][1] == "in the order written; it is the fallback `chat-7b`"
    assert any(note.startswith("a provider that fails 3 times in a row is asked last") for note in told.notes)


@pytest.mark.parametrize(
    ("name", "path", "lanes"),
    [
        ("chat-7b", "", ["direct"]),
        ("chat-7b", "embeddings", ["direct"]),
        ("chat-7b", "messages", ["litellm"]),
        ("chat", "", ["direct", "litellm"]),
        ("chat", "messages", ["litellm", "litellm"]),
        ("gpt-4x", "", ["direct"]),  # by a pattern
        ("gpt-3", "", ["litellm"]),
    ],
)
def test_each_who_is_asked_has_its_lane(explainer: Explainer, name: str, path: str, lanes: list[str]) -> None:
    told = explainer.explain(facts(name, tokens=200), path)
    assert [step.lane for step in told.members] == lanes
    assert [bool(step.lane_why) for step in told.members] == [lane == "litellm" for lane in lanes]


def test_the_same_one_by_another_lane_is_another_way() -> None:
    ways = []
    for lanes in ("auto", "litellm"):
        sources = {
            "aiops.yaml": f"gateway: {{port: 4000, lanes: {lanes}}}".encode(),
            "providers.yaml": PROVIDERS.encode(),
        }
        state = load(sources, {})
        ways.append(Explainer(state, resolve(state)).explain(facts("chat-7b")).way)
    assert ways[0] != ways[1]
