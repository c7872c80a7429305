"""Conditions say what they mean or are refused with the place and the nearest name."""

from __future__ import annotations

import pytest

from aiops.spec.choosing.conditions import NAMES, ConditionError, Facts, parse

BUSY = Facts(
    model="m", tokens=1500, length=6000, stream=True, request_count=7, complexity="high", headers={"x-priority": "high"}
)


@pytest.mark.parametrize(
    "text",
    [
        "request_count > 5 OR batch_mode",
        "local_saturated or complexity == 'high'",
        'header.x-priority == "high"',
        'header.X-Priority == "high"',
        "header.x-missing == ''",
        "stream == true",
        "stream and not batch_mode",
        "NOT (tokens <= 1000 Or batch_mode)",
        "tokens >= 1500 and tokens <= 1500.0 and 1499 < tokens",
        "model != 'other'",
        "length > 1000 and batch_size == 1 and saturation < 0.5 and quality_tier == 'standard'",
        "batch_mode and stream or stream",
        "stream or stream and batch_mode",
        "((stream))",
        "true",
        "stream != batch_mode",
    ],
)
def test_it_holds_for_a_busy_request_and_its_negation_does_not(text: str) -> None:
    assert parse(text).holds(BUSY)
    assert not parse(f"not ({text})").holds(BUSY)


def test_every_fact_but_the_headers_has_a_name() -> None:
    assert set(NAMES) == set(Facts.__dataclass_fields__) - {"headers"}
    for name, sort in NAMES.items():
        value = {"text": "'low'", "a number": "1", "true or false": "true"}[sort]
        assert parse(f"{name} == {value} or true").names == {name}


def test_a_condition_says_what_it_asks_for() -> None:
    assert parse("tokens > 1 and header.X-Team == 'a' or stream").names == {"tokens", "header.x-team", "stream"}


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("tokenz > 5", 1, "unknown name `tokenz`", "did you mean `tokens`?"),
        ("stream and zzz", 12, "unknown name `zzz`", "names: "),
        ("headers.x-a == 'b'", 1, "unknown name `headers.x-a`", "write `header.x-a`"),
        ("tokens", 1, "`tokens` is a number, not true or false", "compare it"),
        ("header.x-a", 1, "`header.x-a` is text, not true or false", "compare it"),
        ("tokens > '5'", 10, "`tokens` is a number and cannot be compared with text", "remove the quotes"),
        ("header.x-a == 5", 15, "`header.x-a` is text and cannot be compared with a number", "put it in quotes"),
        ("quality_tier > 'a'", 14, "`>` compares numbers only", "=="),
        ("complexity == 'higher'", 15, "`complexity` is never 'higher'", "did you mean `high`?"),
        ("1 < tokens < 5", 12, "comparisons cannot be chained", "and"),
        ("stream = true", 8, "`=` is not understood", "write `==`"),
        ("stream && batch_mode", 8, "`&&` is not understood", "write `and`"),
        ("(stream", 1, "a `(` is not closed", ""),
        ("stream)", 7, "`)` is not expected here", ""),
        ("stream batch_mode", 8, "`batch_mode` is not expected here", "join with and, or"),
        ("model == 'x", 10, "a quote is not closed", ""),
        ("tokens >", 9, "a name or value is missing before the end", ""),
        ("and stream", 1, "a name or value is missing before `and`", ""),
        ("header.x@y == 'a'", 1, "`header.x@y` is not the name of a header", "header.x-priority"),
        ("", 1, "it is empty", "for example"),
        ("__import__('os')", 1, "unknown name `__import__`", ""),
        ("tokens.__class__ == 'a'", 1, "unknown name `tokens.__class__`", ""),
        ("not " * 25 + "stream", 81, "nested deeper than 20 levels", ""),
        ("(" * 25 + "stream" + ")" * 25, 21, "nested deeper than 20 levels", ""),
        ("stream or " * 200 + "stream", 1, "it has 2006 characters, more than 1000", ""),
    ],
)
def test_what_is_wrong_is_said_with_its_column_and_what_to_write(
    text: str, column: int, message: str, hint: str
) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert (caught.value.column, caught.value.message) == (column, message)
    assert hint in caught.value.hint


def test_a_condition_that_parses_never_fails_on_a_request() -> None:
    for name, sort in NAMES.items():
        for sign in ("==", "!=") if sort != "a number" else ("==", "!=", "<", "<=", ">", ">="):
            value = {"text": "'low'", "a number": "1", "true or false": "true"}[sort]
            assert parse(f"{name} {sign} {value}").holds(Facts()) in (True, False)
