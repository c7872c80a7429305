"""YAML means what the 1.2 core schema says, on every line of the files."""

from __future__ import annotations

import math
from typing import Any

import pytest

from aiops.spec.yaml.yaml12 import parse
from aiops.spec.yaml.yaml_text import block


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("on", "on"),
        ("yes", "yes"),
        ("n", "n"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("2025-10-19", "2025-10-19"),
        ("=", "="),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 1", "1"),
    ],
)
def test_a_plain_scalar_means_what_the_core_schema_says(written: str, meant: Any) -> None:
    value = parse("f.yaml", f"k: {written}\n".encode()).data["k"]
    assert (value, type(value)) == (meant, type(meant))


def test_aliases_and_merge_keys_work_and_what_is_written_wins_over_what_is_merged() -> None:
    document = parse("f.yaml", b"a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [*a, {z: 4}]}\nd: *a\n")
    assert document.problems == ()
    assert document.data["b"] == {"x": 1, "y": 3}
    assert document.data["c"] == {"x": 1, "y": 2, "z": 4}
    assert document.data["d"] == {"x": 1, "y": 2}


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    document = parse("f.yaml", b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n")
    assert document.data == {"a": 1, "b": {"c": 2}}
    assert document.line(("b", "c")) == 3


def test_the_line_of_something_that_is_not_written_is_that_of_what_is_around_it() -> None:
    document = parse("f.yaml", b"a: 1\nb:\n  c:\n    - x\n    - y: 2\n")
    assert document.line(("b", "c", 1, "y")) == 5
    assert document.line(("b", "c", 7)) == 3
    assert document.line(("b", "missing", "deeper")) == 2


AWKWARD = [
    *("", " ", "a b", "yes", "No", "null", "~", "1", "010", "1e3", "1:30", "0x1f", "2025-10-19", "true", "=", ".inf"),
    *("- a", "a: b", "a #b", "#a", "*a", "&a", "!a", "%a", "@a", "`a`", "'a'", '"a"', "{a}", "[a]", "a,b", "a:", ":a"),
    *("a\nb", "a\tb", "\x01", "\x7f", "\u2028", "\ufeff", "é", "日本", "\U0001f600", "back\\slash", "${A}"),
    *("org/model", "llama3:8b", "<<", "x" * 300),
]


@pytest.mark.parametrize("text", AWKWARD, ids=repr)
def test_what_is_written_reads_back_the_same_in_yaml_1_1_and_1_2(text: str) -> None:
    import yaml

    data = {"plain": text, "list": [text, {"in": text}], "flow": {"empty": [], "none": {}}, text or "empty": 1}
    written = block(data)
    assert yaml.safe_load(written) == data
    again = parse("f.yaml", written.encode())
    assert again.problems == ()
    assert again.data == {**data, "list": (text, {"in": text}), "flow": {"empty": (), "none": {}}}
