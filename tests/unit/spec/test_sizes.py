"""Sizes as operators and model hubs write them."""

from __future__ import annotations

import pytest

from aiops.spec.choosing import sizes


@pytest.mark.parametrize(
    ("text", "billions"),
    [
        ("7B", 7),
        ("7.6b", 7.6),
        ("137M", 0.137),
        ("1T", 1000),
        ("8x7B", 56),
        ("30B-A3B", 30),
        ("22 B", 22),
        ("108K", 0.000108),
    ],
)
def test_a_size_is_billions_of_parameters(text: str, billions: float) -> None:
    assert sizes.parse(text) == pytest.approx(billions)


@pytest.mark.parametrize("text", ["", "7", "large", "B", "7BB", "-7B", "7e9", "0B", "7B (Q4)", "9999999999B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        sizes.parse(text)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("llama3.1:8b", 8), ("Qwen/Qwen2.5-Coder-7B-Instruct-AWQ", 7), ("mythomax-l2-13b-q5_k_m", 13),
        ("kimi-k2:1t-cloud", 1000), ("mixtral:8x7b", 56), ("smollm:135m", 0.135), ("gpt-oss:120b-cloud", 120),
        ("phi-3-mini-128k", None), ("gpt-4o", None), ("glm-4.6:cloud", None), ("gemma3n:e4b", None), ("nomic", None),
    ],
)  # fmt: skip
def test_a_size_in_a_models_name_is_found(name: str, billions: float | None) -> None:
    assert sizes.in_name(name) == (None if billions is None else pytest.approx(billions))


@pytest.mark.parametrize("text", ["7B", "7.6B", "137M", "1T", "108K", "671B"])
def test_a_size_is_shown_as_it_is_written(text: str) -> None:
    assert sizes.shown(sizes.parse(text)) == text
