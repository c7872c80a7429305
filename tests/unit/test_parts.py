"""The parts of the test suite: none is forgotten, and the exit code is the worst that happened."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.kit.warm.product import ROOT


@pytest.fixture
def parts() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("run_tests", ROOT / "scripts" / "lib" / "run_tests.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["run_tests"] = made
    path = list(sys.path)
    spec.loader.exec_module(made)
    yield made
    sys.path[:] = path
    del sys.modules["run_tests"]


def test_every_directory_with_tests_belongs_to_a_part(parts: Any) -> None:
    there = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")}
    assert there == {name for part in parts.PARTS for name in part.directories}


def test_a_part_is_chosen_by_its_directory_and_soak_only_by_name(parts: Any) -> None:
    assert parts.chosen([]) == list(parts.PARTS)
    assert [part.directories for part in parts.chosen(["unit", "e2e"])] == [("unit",), ("e2e",)]
    assert {part.environment.get("AIOPS_E2E_REQUESTS") for part in parts.chosen(["soak"])} == {"10000", None}


@pytest.mark.parametrize(
    ("codes", "code", "ran"), [([0, 5, 0], 0, 3), ([0, 1, 5], 1, 3), ([5, 5, 5], 5, 3), ([0, 2, 0], 2, 2)]
)
def test_the_exit_code_is_the_worst_and_only_an_interruption_ends_the_run(
    parts: Any, monkeypatch: pytest.MonkeyPatch, codes: list[int], code: int, ran: int
) -> None:
    left = list(codes)
    monkeypatch.setattr(parts, "run", lambda part, arguments: parts.Ran(part, left.pop(0), 1.0))
    told, all_ran = parts.run_all(parts.PARTS[:3], [])
    assert (told, len(all_ran)) == (code, ran)


def test_a_part_over_its_budget_is_marked(parts: Any) -> None:
    quick, slow = parts.Ran(parts.PARTS[0], 0, 60.0), parts.Ran(parts.PARTS[1], 0, 600.0)
    rows = parts.table([quick, slow], False, 0.2)
    assert [row for row in rows if "OVER" in row] == [rows[2]]
