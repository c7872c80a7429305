"""What a measurement says: latencies by rank, who answered, and every error."""

from __future__ import annotations

import pytest

from aiops.spec.choosing.rules import Strategy
from aiops.verify.comparison import Comparison
from aiops.verify.measure import Measured, summed

TEN = [(number / 100, "a" if number < 4 else "b", "") for number in range(1, 11)]


@pytest.mark.parametrize(("share", "seconds"), [(0.5, 0.05), (0.95, 0.1), (0.1, 0.01), (1.0, 0.1)])
def test_a_percentile_is_an_answer_that_really_came(share: float, seconds: float) -> None:
    assert summed("m", TEN).percentile(share) == seconds


def test_answers_are_counted_by_provider_and_errors_by_themselves() -> None:
    measured = summed("m", [*TEN, (0.0, "", "HTTP 500: no"), (0.0, "", "HTTP 500: no")])
    assert (measured.requests, measured.failed, measured.errors) == (12, 2, ("HTTP 500: no",))
    assert measured.spread == {"a": 3, "b": 7}
    assert max(measured.seconds) == 0.1, "an error has no latency"


def test_without_an_answer_there_is_no_latency() -> None:
    measured = summed("m", [(0.0, "", "HTTP 500: no")])
    assert measured.percentile(0.5) is None
    assert measured.to_json()["p95"] is None


def test_before_and_after_stand_side_by_side() -> None:
    before = summed("code", TEN)
    after = Measured("code", (0.02,), {"b": 1}, 1, ("HTTP 503: full",))
    shown = Comparison("code", Strategy.SIMPLE_SHUFFLE, Strategy.LEAST_LOADED, before, after).lines()
    assert shown == [
        "code",
        "            simple-shuffle  least_loaded",
        "  requests  10              2",
        "  errors    0               1",
        "  p50       50 ms           20 ms",
        "  p95       100 ms          20 ms",
        "  a         3 (30%)         0 (0%)",
        "  b         7 (70%)         1 (100%)",
        "  error: HTTP 503: full",
    ]
