"""Ranges of sizes, as operators write them."""

from __future__ import annotations

import pytest

from aiops.spec.choosing.size_ranges import parse_range


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("< 8B", [0.1, 7.9], [8, 9]),
        ("<=8b", [0.1, 8], [8.1]),
        ("> 13B", [13.1, 1000], [13, 1]),
        (">= 13 B", [13, 1000], [12.9]),
        ("8B - 13B", [8, 10, 13], [7.9, 13.1]),
        ("500M-1.5B", [0.5, 1.5], [0.4, 1.6]),
        ("70B to 1T", [70, 1000], [1001]),
    ],
)
def test_a_range_holds_what_is_in_it(text: str, inside: list[float], outside: list[float]) -> None:
    size = parse_range(text)
    assert all(size.holds(billions) for billions in inside)
    assert not any(size.holds(billions) for billions in outside)


@pytest.mark.parametrize("text", ["8", "< 8", "== 8B", "", "small", "8B - ", "13B - 8B", "< 8B - 13B"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"range of sizes|is empty"):
        parse_range(text)
