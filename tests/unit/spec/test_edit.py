"""Edits change what they are asked to and nothing else: comments, order, quotes and line ends stay."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Mapping
from typing import Literal

import pytest

from aiops.errors import InvalidState, Precondition, UsageError
from aiops.spec.choosing.rules import Strategy
from aiops.spec.edit.edit import (
    Edit,
    add_model,
    add_provider,
    remove_model,
    remove_provider,
    set_service,
    set_standalone,
    set_status,
    set_strategy,
    set_value,
)
from aiops.spec.load.load import load
from aiops.spec.shapes.model import ModelSpec
from aiops.spec.sources import FILES
from aiops.spec.yaml.yaml12 import parse

SOURCES = {
    "aiops.yaml": b"# the gateway\ngateway:\n  port: 4000   # public\n  host: '127.0.0.1'\n\nprofile: dev\n",
    "providers.yaml": b"""\
# Our machines.
providers:

  # The big one.
  big:
    type: vllm          # with AWQ
    base_url: "http://gpu:8000"
    models:
      - name: large     # the best
        size: "70B"
      - name: small
    # to be replaced in spring

  lab:
    type: ollama
    base_url: http://lab:11434
    models: [tiny, "llama3:8b"]
    notes: |
      one
      # not a comment

# The end.
""",
    "model-mappings.yaml": b"""\
exact_matches:
  # speed
  fast: {provider: lab, backend_model: tiny, fallback: small}   # often used
  best:
    provider: big
    backend_model: large
    fallback: lab
fallback_chains:
  large:
    chain:
      - small      # same box
      - tiny
  default:
    chain: [tiny]
""",
}


def text(edit: Edit | Mapping[str, bytes], file: str = "providers.yaml") -> str:
    sources = edit.sources if isinstance(edit, Edit) else edit
    return sources[file].decode()


def removed_lines(before: Mapping[str, bytes], edit: Edit) -> list[str]:
    """The lines of the old files that are in none of the new ones."""
    after = [line for file in edit.sources for line in text(edit, file).splitlines()]
    return [line for file in before for line in before[file].decode().splitlines() if line not in after]


def test_a_provider_is_added_after_the_others_in_their_style() -> None:
    edit = add_provider(
        SOURCES,
        "new",
        type="openai_compatible",
        base_url="http://127.0.0.1:8002",
        models=["m:1", ModelSpec(name="n o", size="7B")],
        description="yes: it works",
        api_key_env="NEW_KEY",
        health_endpoint="/v1/models",
    )
    expected = """\
      # not a comment

  new:
    type: openai_compatible
    base_url: http://127.0.0.1:8002
    status: active
    description: "yes: it works"
    api_key_env: NEW_KEY
    models:
      - m:1
      - name: "n o"
        size: "7B"
    health_endpoint: /v1/models

# The end.
"""
    assert text(edit).endswith(expected)
    assert removed_lines(SOURCES, edit) == []
    assert edit.sources["aiops.yaml"] is SOURCES["aiops.yaml"]
    assert load(edit.sources, {}).providers["new"].models[1].size == "7B"


def test_a_fallback_becomes_an_exact_match_for_each_model() -> None:
    edit = add_provider(SOURCES, "new", type="vllm", base_url="http://n:1", models=["x", "z"], fallback="tiny")
    mapping = (
        "  x:\n    provider: new\n    fallback: tiny\n  z:\n    provider: new\n    fallback: tiny\nfallback_chains:"
    )
    assert mapping in text(edit, "model-mappings.yaml")


def test_an_endpoint_in_an_address_is_cut_off_and_that_is_said() -> None:
    url = "http://gpu:9000/v1/chat/completions"
    edit = add_provider(SOURCES, "new", type="vllm", base_url=url, models=["m"])
    assert b"base_url: http://gpu:9000/v1\n" in edit.sources["providers.yaml"].replace(b'"', b"")
    assert edit.notes == (
        "`/chat/completions` is an endpoint and no part of the address: http://gpu:9000/v1 is written",
    )


def test_adding_the_same_again_changes_nothing() -> None:
    arguments = {"type": "vllm", "base_url": "http://n:1", "models": ["x"], "fallback": "tiny"}
    once = add_provider(SOURCES, "new", **arguments)  # type: ignore[arg-type]
    twice = add_provider(once.sources, "new", **{**arguments, "base_url": "http://n:1/v1/"})  # type: ignore[arg-type]
    assert twice.sources == once.sources
    assert add_model(once.sources, "lab", "tiny").sources == once.sources
    assert set_status(once.sources, "lab", "active").sources == once.sources
    assert set_value(once.sources, "aiops.yaml", ("gateway", "port"), 4000).sources == once.sources


def test_adding_something_else_under_the_same_name_is_refused() -> None:
    with pytest.raises(UsageError, match="exists already and is different"):
        add_provider(SOURCES, "lab", type="ollama", base_url="http://elsewhere:11434", models=["tiny"])
    with pytest.raises(UsageError, match="lists `large` already"):
        add_model(SOURCES, "big", ModelSpec(name="large", size="8B"))


@pytest.mark.parametrize(
    ("act", "hint"),
    [
        (lambda: set_status(SOURCES, "bigg", "disabled"), "did you mean `big`?"),
        (lambda: remove_provider(SOURCES, "labb"), "did you mean `lab`?"),
        (lambda: remove_provider(SOURCES, "zzz"), "providers: big, lab"),
        (lambda: add_model(SOURCES, "lba", "x"), "did you mean `lab`?"),
        (lambda: remove_model(SOURCES, "big", "larg"), "did you mean `large`?"),
        (lambda: add_provider(SOURCES, "x", type="olama", base_url="http://h"), "did you mean `ollama`?"),
        (lambda: add_provider(SOURCES, "x", type="vllm", base_url="http://h", models=["m"], fallback="tinyy"), "tiny"),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_the_nearest_one(act: object, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        act()  # type: ignore[operator]
    assert hint in caught.value.hint


def test_a_model_is_added_to_a_block_list_and_to_an_inline_list() -> None:
    assert "      - name: small\n      - name: medium\n    # to be replaced" in text(
        add_model(SOURCES, "big", "medium")
    )
    assert 'models: [tiny, "llama3:8b", medium]\n' in text(add_model(SOURCES, "lab", "medium"))
    detailed = add_model(SOURCES, "big", ModelSpec(name="e", mode="embedding"))
    assert "      - name: e\n        mode: embedding\n" in text(detailed)


def test_a_status_is_added_beside_the_other_keys_or_replaced_where_it_is() -> None:
    off = set_status(SOURCES, "big", "disabled")
    assert "      - name: small\n    status: disabled\n    # to be replaced" in text(off)
    on = set_status(off.sources, "big", "active")
    assert text(on) == text(off).replace("status: disabled", "status: active")


def test_a_value_keeps_its_quotes_and_its_comment() -> None:
    edit = set_value(SOURCES, "aiops.yaml", ("gateway", "port"), 4001)
    edit = set_value(edit.sources, "aiops.yaml", ("gateway", "host"), "0.0.0.0")
    assert '  port: 4001   # public\n  host: "0.0.0.0"\n' in text(edit, "aiops.yaml")


def test_a_value_that_is_not_written_yet_is_added_with_what_is_around_it() -> None:
    edit = set_value(SOURCES, "aiops.yaml", ("verify", "billable"), True)
    edit = set_value(edit.sources, "aiops.yaml", ("gateway", "workers"), 2)
    assert text(edit, "aiops.yaml").endswith(
        "  host: '127.0.0.1'\n  workers: 2\n\nprofile: dev\n\nverify:\n  billable: true\n"
    )


def test_removing_a_provider_removes_what_points_at_it_and_says_so() -> None:
    edit = remove_provider(SOURCES, "lab")
    assert edit.notes == (
        "the exact match `fast` goes too",
        "`best` loses its fallback `lab`",
        "the chain of `large` loses `tiny`",
        "the default chain held only `tiny` and goes",
        "model-mappings.yaml: comments inside what was removed went with it (1)",
    )
    state = load(edit.sources, {})
    assert set(state.providers) == {"big"}
    assert set(state.exact_matches) == {"best"}
    assert state.fallback_chains["large"].chain == ("small",)
    assert "  # speed\n" in text(edit, "model-mappings.yaml")


def test_removing_a_model_keeps_the_names_that_are_still_served() -> None:
    edit = remove_model(SOURCES, "big", "small")
    assert "`fast` loses its fallback `small`" in edit.notes
    assert "the chain of `large` loses `small`" in edit.notes
    assert [model.name for model in load(edit.sources, {}).providers["big"].models] == ["large"]


def groups() -> dict[str, bytes]:
    """Rules of every kind that refer to the provider `a` and its model `m`, and to `b`."""
    mappings = """\
load_balancing:
  m:
    strategy: weighted_round_robin
    providers:
      - {provider: a, weight: 0.5}   # the first
      - {provider: b, weight: 0.2}
      - {provider: c, weight: 0.3}
  only-a: {providers: [{provider: a}]}
capabilities:
  code:
    preferred_models: [m2, b1, a]
    routing_strategy: complexity_based
    complexity_thresholds: {low: b1, high: m2}
    fallback: a
  fast: {provider: a}
patterns:
  - {pattern: "^a", provider: a}
  - {pattern: "^b", provider: b, fallback: a}   # stays
  - {pattern: "^m2", provider: a, backend_model: m2}
fallback_chains:
  b1: [only-a, m2, c1]
routing_rules:
  default_provider: a
  default_fallback: b
  request_metadata_routing:
    urgent: {provider: a, condition: stream}
    slow: {provider: b, condition: not stream}
  model_size_routing: [{size: "< 8B", provider: a}, {size: "> 8B", provider: b, fallback: m2}]
"""
    providers = "providers:\n" + "".join(
        f"  {name}: {{type: ollama, base_url: 'http://h:{port}', models: [{models}]}}\n"
        for port, (name, models) in enumerate((("a", "m, m2"), ("b", "b1"), ("c", "c1")), 1)
    )
    return {
        "aiops.yaml": b"gateway: {port: 4000}\n",
        "providers.yaml": providers.encode(),
        "model-mappings.yaml": mappings.encode(),
    }


def test_removing_a_provider_takes_it_out_of_every_rule() -> None:
    edit = remove_provider(groups(), "a")
    state = load(edit.sources, {})
    rules = state.mappings
    assert {member.provider: member.weight for member in rules.load_balancing["m"].providers} == {"b": 0.4, "c": 0.6}
    assert set(rules.load_balancing) == {"m"}
    assert rules.capabilities["code"].preferred_models == ("b1",)
    assert rules.capabilities["code"].fallback is None
    assert set(rules.capabilities) == {"code"}
    assert [(rule.pattern, rule.fallback) for rule in rules.patterns] == [("^b", None)]
    assert rules.rules.default_provider is None
    assert set(rules.rules.request_metadata_routing) == {"slow"}
    assert [(rule.size, rule.fallback) for rule in rules.rules.model_size_routing] == [("> 8B", None)]
    assert state.fallback_chains["b1"].chain == ("c1",)
    assert "# stays" in text(edit, "model-mappings.yaml")
    for note in (
        "`m` loses its member `a`",
        "the other members of `m` share its weight",
        "the balanced name `only-a` goes too",
        "the capability `fast` goes too",
        "the capability `code` loses its level `high`",
        "the pattern `^a` goes too",
        "the pattern `^b` loses its fallback `a`",
        "`default_provider` goes too: unknown names are refused",
        "the rule `urgent` goes too",
        "the chain of `b1` loses `only-a`, `m2`",
    ):
        assert note in edit.notes


def test_the_default_provider_stays_when_its_fallback_goes() -> None:
    edit = remove_provider(groups(), "b")
    rules = load(edit.sources, {}).mappings.rules
    assert (rules.default_provider, rules.default_fallback) == ("a", None)
    assert "`default_provider` loses its fallback" in edit.notes


def test_removing_a_model_takes_it_out_of_every_rule_and_leaves_its_provider_there() -> None:
    edit = remove_model(groups(), "a", "m2")
    rules = load(edit.sources, {}).mappings
    assert rules.capabilities["code"].preferred_models == ("b1", "a")
    assert [rule.pattern for rule in rules.patterns] == ["^a", "^b"]
    assert rules.rules.default_provider == "a"
    assert {member.provider for member in rules.load_balancing["m"].providers} == {"a", "b", "c"}


def test_what_loses_everything_stays_empty_and_can_be_filled_again() -> None:
    edit = remove_provider(remove_provider(SOURCES, "lab").sources, "big")
    assert "providers: {}\n\n  # The big one.\n" in text(edit)
    again = add_provider(edit.sources, "lab", type="ollama", base_url="http://lab:11434", models=["tiny"])
    assert set(load(again.sources, {}).providers) == {"lab"}


def test_windows_line_ends_a_byte_order_mark_and_a_missing_final_newline_are_kept() -> None:
    windows = {file: b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n") for file, content in SOURCES.items()}
    edit = add_provider(windows, "new", type="vllm", base_url="http://n:1", models=["x"])
    content = edit.sources["providers.yaml"]
    assert content.count(b"\n") == content.count(b"\r\n")
    assert content.startswith(b"\xef\xbb\xbf#")
    bare = {**SOURCES, "providers.yaml": b"providers:\n  a: {type: vllm, base_url: 'http://a:1', models: [m]}"}
    added = text(add_provider(bare, "b", type="vllm", base_url="http://b:1", models=["x"]))
    assert added.startswith("providers:\n  a: {type: vllm, base_url: 'http://a:1', models: [m]}\n  b: {type: vllm,")
    assert not added.endswith("\n")


@pytest.mark.parametrize(
    "written",
    [
        "providers: {}",
        "providers: {}   # none yet\n",
        "providers:\n",
        "providers:   # none yet\n# end\n",
        "providers: ~\n",
        "# only a comment before\nproviders: {\n}\n",
        "{providers: {}}\n",
        "providers: {a: {type: vllm, base_url: 'http://a:1', models: [m]}}\n",
        "providers:\n    a:\n        type: vllm\n        base_url: http://a:1\n        models:\n        - m\n",
        "---\nproviders:\n  a: {type: vllm, base_url: 'http://a:1', models: [m]}\n",
        "providers:\n  a:\n    type: vllm\n    base_url: http://a:1\n    models: [m]\n    notes: >\n      folded\n\n\n",
    ],
)
def test_a_provider_can_be_added_to_and_taken_out_of_a_file_of_any_style(written: str) -> None:
    sources = {**SOURCES, "providers.yaml": written.encode()}
    del sources["model-mappings.yaml"]
    edit = add_provider(sources, "new", type="vllm", base_url="http://n:1", models=["x", "y"], fallback="x")
    after = load(set_value(edit.sources, "model-mappings.yaml", ("exact_matches", "x", "fallback"), None).sources, {})
    assert [model.name for model in after.providers["new"].models] == ["x", "y"]
    for line in written.splitlines():
        _, mark, comment = line.partition("#")
        assert not mark or comment in text(edit)
    back = remove_provider(edit.sources, "new")
    before = parse("providers.yaml", written.encode()).data
    assert (parse("providers.yaml", back.sources["providers.yaml"]).data["providers"] or {}) == (
        before["providers"] or {}
    )


def test_what_cannot_be_edited_safely_is_left_to_a_person() -> None:
    aliased = b"providers:\n  a: &a {type: vllm, base_url: 'http://a:1', models: [m]}\n  b: {<<: *a, base_url: 'http://b:1'}\n"
    sources = {**SOURCES, "providers.yaml": aliased}
    with pytest.raises(Precondition) as caught:
        add_model(sources, "b", "n")
    assert caught.value.hint == "make this change by hand"


def test_a_file_that_cannot_be_read_is_reported_with_its_problems() -> None:
    with pytest.raises(InvalidState, match=r"providers\.yaml:2"):
        set_status({**SOURCES, "providers.yaml": b"providers: [\n"}, "a", "disabled")


@pytest.mark.parametrize("seed", range(25))
def test_any_series_of_edits_keeps_the_comments_and_means_what_was_asked(seed: int) -> None:
    """A random walk, against a plain model of what the files should say."""
    choose = random.Random(seed)
    sources: Mapping[str, bytes] = SOURCES
    models: dict[str, list[str]] = {"big": ["large", "small"], "lab": ["tiny", "llama3:8b"]}
    names = (f"{word}{number}" for number in itertools.count() for word in ("p", "org/m:", "my model "))
    for _ in range(20):
        act = choose.randrange(5)
        provider = choose.choice(sorted(models)) if models else "p"
        name = next(names)
        if act == 0 or not models:
            new = f"p{len(name)}-{choose.randrange(10**6)}"
            sources = add_provider(
                sources, new, type="vllm", base_url=f"http://{new}:1", models=[name], description=name
            ).sources
            models[new] = [name]
        elif act == 1:
            sources = add_model(sources, provider, name).sources
            models[provider].append(name)
        elif act == 2 and len(models[provider]) > 1:
            gone = choose.choice(models[provider])
            sources = remove_model(sources, provider, gone).sources
            models[provider].remove(gone)
        elif act == 3 and len(models) > 1:
            sources = remove_provider(sources, provider).sources
            del models[provider]
        else:
            sources = set_status(sources, provider, choose.choice(["active", "disabled"])).sources  # type: ignore[arg-type]
        state = load(sources, {})
        assert {p: [model.name for model in entry.models] for p, entry in state.providers.items()} == models
        for comment in (
            "# Our machines.",
            "  # The big one.",
            "# The end.",
            "  # speed",
            "# the gateway",
            "   # public",
        ):
            assert any(comment in text(sources, file) for file in FILES)


def test_an_edit_of_ten_thousand_models_is_one_pass() -> None:
    lines = ["providers:"]
    for p in range(100):
        lines += [f"  p{p}:", "    type: vllm", f"    base_url: http://h{p}:1", "    models:"]
        lines += [f"      - name: m-{p}-{m}\n        size: 7B" for m in range(100)]
    sources = {**SOURCES, "providers.yaml": "\n".join(lines).encode(), "model-mappings.yaml": b"exact_matches: {}\n"}
    started = time.process_time()
    edit = add_model(sources, "p50", "new", fallback="p1")
    assert time.process_time() - started < 20  # seconds of CPU; 1.2 on a quiet machine, hours if it were quadratic
    assert b"        size: 7B\n      - name: new\n  p51:" in edit.sources["providers.yaml"]


GROUPS = {
    **SOURCES,
    "model-mappings.yaml": b"""\
load_balancing:
  # the two cards
  chat:
    providers: [{provider: big}, {provider: lab}]
    strategy: least_busy   # by its other name
  plain: {providers: [{provider: big}, {provider: lab}]}

capabilities:
  code: {provider: big, routing_strategy: direct}
""",
}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (None, b"direct}\n", b"direct}\n\nrouting_rules:\n  default_strategy: cost-based\n"),
        ("chat", b"strategy: least_busy   #", b"strategy: cost-based   #"),
        ("plain", b"{provider: lab}]}", b"{provider: lab}], strategy: cost-based}"),
        ("code", b"routing_strategy: direct", b"routing_strategy: cost-based"),
    ],
)
def test_a_strategy_is_written_where_it_counts(name: str | None, old: bytes, new: bytes) -> None:
    edited = set_strategy(GROUPS, Strategy.COST_BASED, name).sources
    assert edited["model-mappings.yaml"] == GROUPS["model-mappings.yaml"].replace(old, new)
    assert set_strategy(edited, Strategy.COST_BASED, name).sources == edited


def test_the_same_strategy_under_another_name_changes_nothing() -> None:
    assert set_strategy(GROUPS, Strategy.LEAST_BUSY, "chat").sources == GROUPS


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("coed", "there is no load-balancing group or capability `coed`", "did you mean `code`?"),
        ("large", "one deployment answers `large`: there is nothing to choose between", "groups: chat, code, plain"),
    ],
)
def test_a_name_with_nothing_to_choose_has_no_strategy(name: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        set_strategy(GROUPS, Strategy.DIRECT, name)
    assert (refused.value.message, refused.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("scope", "written"), [("user", {"unit": "a.service"}), ("system", {"unit": "a.service", "scope": "system"})]
)
def test_the_unit_of_a_provider_is_written_once(scope: Literal["user", "system"], written: dict[str, str]) -> None:
    edited = set_service(SOURCES, "big", "a.service", scope).sources
    assert parse("providers.yaml", edited["providers.yaml"]).data["providers"]["big"]["service"] == written
    assert set_service(edited, "big", "other.service", "user").sources == edited


def test_one_machine_has_no_cache_and_nothing_that_is_shared() -> None:
    written = b"gateway: {port: 4000}\nmode: distributed\ndeployment:\n  redis_url_file: r\n# ours\ncache:\n  ttl: 60\n"
    edited = set_standalone({"aiops.yaml": written}).sources["aiops.yaml"].decode()
    assert "cache" not in edited and "deployment" not in edited
    assert "mode: standalone" in edited and "port: 4000" in edited
