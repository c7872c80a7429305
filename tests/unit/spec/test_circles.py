"""Names that fall back to each other: each is tried once, wherever a request comes in."""

from __future__ import annotations

import pytest

from aiops.spec.load.load import load
from aiops.spec.routes.circles import around, circles
from aiops.spec.routes.notes import notes
from aiops.spec.routes.resolve import resolve

PROVIDERS = b"providers: {p: {type: vllm, base_url: http://127.0.0.1:8000, models: [a, b, c, d, e]}}\n"


@pytest.mark.parametrize(
    ("ways", "tried"),
    [
        ({"a": ["b"], "b": ["a"]}, {"a": ("b",), "b": ("a",)}),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, {"a": ("b", "c"), "b": ("c", "a"), "c": ("a", "b")}),
        ({"x": ["a"], "a": ["b"], "b": ["a"]}, {"x": ("a", "b"), "a": ("b",), "b": ("a",)}),
        ({"a": ["b"], "b": ["a", "c"], "c": []}, {"a": ("b", "c"), "b": ("a", "c"), "c": ()}),
        ({"a": ["b"], "b": ["c"], "c": []}, {}),
    ],
)
def test_where_a_circle_closes_it_is_cut(ways: dict[str, list[str]], tried: dict[str, tuple[str, ...]]) -> None:
    assert around(ways, ways) == tried


def test_a_chain_of_thousands_is_no_circle_and_one_that_closes_is_found() -> None:
    ways = {str(index): [str(index + 1)] for index in range(20_000)} | {"20000": []}
    assert list(circles(ways)) == []
    assert len(next(circles({**ways, "20000": ["0"]}))) == 20_002


def test_a_request_tries_each_of_them_once() -> None:
    mappings = b"fallback_chains: {a: [b], b: [c], c: [a], d: [a]}\n"
    sources = {"aiops.yaml": b"gateway: {port: 4000}", "providers.yaml": PROVIDERS, "model-mappings.yaml": mappings}
    state = load(sources, {})
    table = resolve(state)
    asked = {
        name: (*[member.model for member in group.members], *group.fallbacks)
        for name, group in table.rules.names.items()
    }
    # Each of them is put in order by the gateway: LiteLLM is given deployments, which have no fallbacks of their own.
    assert asked == {"a": ("a", "b", "c"), "b": ("b", "c", "a"), "c": ("c", "a", "b"), "d": ("d", "a", "b", "c")}
    assert [note.message for note in notes(state, table)] == [
        "fallbacks go in a circle: a -> b -> c -> a; a request tries each of them once"
    ]


def test_that_the_default_chain_is_for_its_members_too_is_no_circle() -> None:
    mappings = b"fallback_chains: {default: [a, b]}\n"
    sources = {"aiops.yaml": b"gateway: {port: 4000}", "providers.yaml": PROVIDERS, "model-mappings.yaml": mappings}
    assert resolve(load(sources, {})).rules.names == {}
