"""docs/lessons.md names tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [line for line in (ROOT / "docs" / "lessons.md").read_text().splitlines() if re.search(r"\| .*`tests/", line)]
NAMED = sorted({name for row in ROWS for name in re.findall(r"`(tests/[^`]+)`", row)})


def test_each_row_names_a_test() -> None:
    table = [line for line in (ROOT / "docs" / "lessons.md").read_text().splitlines() if line.startswith("| ")]
    assert table[1:] == ROWS
    assert len(ROWS) > 20


@pytest.mark.parametrize("named", NAMED)
def test_the_test_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in functions if name else functions
