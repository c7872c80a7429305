"""A figure of the benchmark is judged by its limit, and the benchmark refuses what it does not know."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.figures import Figure, median, table

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("figure", "ok"),
    [
        (Figure("a", 1.0, "s", 1.0), True),
        (Figure("a", 1.01, "s", 1.0), False),
        (Figure("a", 8.0, "x", 8.0, at_least=True), True),
        (Figure("a", 7.9, "x", 8.0, at_least=True), False),
        (Figure("a", 0, "", 0), True),
        (Figure("a", 1, "", 0), False),
        (Figure("a", 99.0), True),
    ],
)
def test_a_figure_that_misses_its_limit_says_so(figure: Figure, ok: bool) -> None:
    assert figure.ok is ok
    assert ("MISSED" in table([figure])) is not ok
    assert figure.as_dict()["ok"] is ok


def test_a_median_keeps_its_samples_and_tells_their_spread() -> None:
    figure = median("a", [3.0, 1.0, 2.0], limit=2.0)
    assert (figure.value, figure.ok, figure.detail) == (2.0, True, "3 rounds, 1 to 3")
    assert figure.as_dict()["samples"] == [3.0, 1.0, 2.0]


def test_an_unknown_section_is_refused_with_the_known_ones() -> None:
    argv = (sys.executable, "-m", "tests.bench", "chnage")
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "no section chnage; there are: cli, change" in done.stderr
