"""Turning entries into comments: what is around them stays byte for byte, and undoing it by hand gives it back."""

from __future__ import annotations

import re

import pytest

from aiops.importing.rewrite import Rewrite
from aiops.spec.yaml.yaml12 import Path, parse

SOURCE = b"""# top
providers:
  a:
    type: ollama   # t
    configuration:
      n: -1  # full
      # inner

      threads: 4
    env_var: FOO

  # about b
  b:
    type: vllm
    models:
      - notes: x
        name: m
      - name: k
        description: |
          several
          lines # not a comment
        gb: 5
# meta
metadata:
  changes: [x]
"""
PLACES: list[Path] = [
    ("metadata",),
    ("providers", "a", "configuration"),
    ("providers", "a", "env_var"),
    ("providers", "b"),
    ("providers", "b", "models", 0),
    ("providers", "b", "models", 1, "description"),
    ("providers", "b", "models", 1, "gb"),
]


@pytest.mark.parametrize("path", PLACES, ids=str)
def test_what_became_a_comment_is_back_when_the_marks_are_removed(path: Path) -> None:
    rewrite = Rewrite("x.yaml", SOURCE)
    rewrite.set_aside(path, "because")
    text = rewrite.finish().decode()
    assert not rewrite.comments_lost
    assert "# because\n" in text
    head, _, rest = text.partition("# because\n")
    before = SOURCE.decode()
    commented = re.match(r"(?:[ ]*# .*\n|\n)*", rest)
    assert commented is not None
    count = len(before.splitlines()) - len(head.splitlines()) if path == ("metadata",) else None
    lines = rest.splitlines(keepends=True)
    restored = head.rstrip(" ")
    for index, line in enumerate(lines):
        inside = index < (count or len(lines)) and before.find(restored + line) != 0
        restored += re.sub(r"# ", "", line, count=1) if inside else line
    assert restored == before


def test_the_first_key_of_a_list_item_can_go() -> None:
    rewrite = Rewrite("x.yaml", SOURCE)
    rewrite.set_aside(("providers", "b", "models", 0, "notes"))
    text = rewrite.finish().decode()
    assert "      # notes: x\n      - name: m\n" in text
    assert not rewrite.comments_lost


def test_a_mapping_that_loses_everything_stays_empty() -> None:
    rewrite = Rewrite("x.yaml", b"a:\n  b: 1\n  c: 2\nd: 3\n")
    rewrite.set_aside(("a", "b"))
    rewrite.set_aside(("a", "c"))
    assert parse("x.yaml", rewrite.finish()).data == {"a": {}, "d": 3}


def test_a_key_is_renamed_and_its_comment_stays() -> None:
    rewrite = Rewrite("x.yaml", b"a:\n  old: 1  # one\n  other: 2\n")
    rewrite.rename(("a", "old"), "new")
    assert rewrite.finish() == b"a:\n  new: 1  # one\n  other: 2\n"


@pytest.mark.parametrize("key", ["api_key", "Api-Key", "token", "password"])
def test_a_secret_in_what_becomes_a_comment_is_hidden(key: str) -> None:
    rewrite = Rewrite("x.yaml", f"a:\n  b:\n    {key}: hunter22\n    c: 1\nd: 2\n".encode())
    rewrite.set_aside(("a", "b"))
    text = rewrite.finish().decode()
    assert "hunter22" not in text
    assert "***" in text


def test_a_file_with_aliases_is_written_anew_and_says_so() -> None:
    rewrite = Rewrite("x.yaml", b"# why\nbase: &b {n: 1, m: 2}\na:\n  <<: *b\n  k: 1\n")
    rewrite.set_aside(("a", "n"))
    again = parse("x.yaml", rewrite.finish())
    assert again.data == {"base": {"n": 1, "m": 2}, "a": {"k": 1, "m": 2}}
    assert rewrite.comments_lost
