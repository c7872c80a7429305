"""Patterns are RE2's: checked when they are written, and looked for all at once."""

from __future__ import annotations

import random
import re

import pytest

from aiops.spec.choosing.patterns import MAX_NAME, PatternError, PatternSet, check

PATTERNS = [
    "^Qwen/",
    r".*:\d+[bB]$",
    r"\.gguf$",
    "^(a|b)c",
    "^a|b$",
    "coder",
    "(?i)^LLAMA",
    r"^\|x",
    "^[|(]y",
    "^x{2,3}$",
]
NAMES = [
    *("Qwen/Qwen2.5", "llama3:8b", "x.gguf", "ac", "bc", "cc", "b", "xb", "my-coder:7B", "Llama-3", "|x"),
    *("(y", "|y", "xx", "xxxx", "", "é:7b", "\ud800"),
]


def test_every_pattern_that_matches_is_found_in_the_order_of_the_file() -> None:
    found = PatternSet(PATTERNS)
    for name in NAMES:
        expected = [index for index, pattern in enumerate(PATTERNS) if re.search(pattern, name)]
        assert found.matches(name) == expected, name


def test_a_set_of_a_thousand_finds_what_each_alone_finds() -> None:
    dice = random.Random(7)
    patterns = [f"^org{dice.randrange(300)}/|x{i}$" if i % 3 else rf"^org{i}/.*-\d+b$" for i in range(1000)]
    found = PatternSet(patterns)
    for number in range(0, 1000, 37):
        for name in (f"org{number}/abc-7b", f"model-x{number}", "nothing"):
            assert found.matches(name) == [i for i, one in enumerate(patterns) if re.search(one, name)]


def test_no_patterns_match_nothing_and_an_endless_name_is_not_looked_at() -> None:
    assert PatternSet([]).matches("x") == []
    assert PatternSet(["x"]).matches("x" * MAX_NAME) == [0]
    assert PatternSet(["x"]).matches("x" * (MAX_NAME + 1)) == []


def test_more_text_than_one_filter_holds_is_looked_for_all_the_same() -> None:
    dice = random.Random(7)
    literals = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=100)) for _ in range(2000)]
    found = PatternSet([f"{literal}.*b$" for literal in literals])
    for at in (0, 999, 1000, 1999):
        assert found.matches(f"org/{literals[at]}-7b") == [at]


@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        ("", "it is empty", "default_provider"),
        ("(", "it does not compile: missing )", r"\("),
        ("a(?=b)", "it does not compile: invalid perl operator", "no lookahead"),
        ("a(?!b)", "it does not compile: invalid perl operator", "no lookahead"),
        ("(?<=a)b", "it does not compile: invalid perl operator", "no lookbehind"),
        (r"(a)\1", "it does not compile: invalid escape sequence", "no backreferences"),
        ("*x", "it does not compile: no argument", ".*"),
        ("a{1001}", "it does not compile: invalid repetition size", "1000"),
        (r"\pL{200}", "it compiles to", "smaller"),
        ("x" * 501, "it has 501 characters", "several"),
        ("$a", "it matches no name at all", ""),
        ("^$", "it matches no name at all", ""),
        (r"[^\x00-\x{10FFFF}]", "it matches no name at all", ""),
    ],
)
def test_a_pattern_that_is_no_use_is_refused_with_a_reason(pattern: str, message: str, hint: str) -> None:
    with pytest.raises(PatternError) as caught:
        check(pattern)
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint


@pytest.mark.parametrize("pattern", ["(a+)+$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a|aa)+$", "^", ".*"])
def test_what_is_catastrophic_elsewhere_is_small_and_linear_here(pattern: str) -> None:
    assert check(pattern) < 100
    PatternSet([pattern]).matches("a" * MAX_NAME)  # a backtracking engine would still be at it tomorrow
