"""The deadline of a load follows the size of the configuration and the speed of the machine."""

from __future__ import annotations

import pytest

from aiops.gateway.master.estimate import LEAST_DEADLINE, Estimator, base_seconds


@pytest.mark.parametrize(("models", "measured"), [(100, 0.38), (1_000, 2.2), (10_000, 47.0)])
def test_the_shape_is_what_was_measured(models: int, measured: float) -> None:
    assert base_seconds(models) == pytest.approx(measured, rel=0.1)


def test_a_machine_that_imports_half_as_fast_is_given_twice_the_time() -> None:
    assert Estimator(10.0, 2).seconds(1000, 1) == pytest.approx(2 * Estimator(5.0, 2).seconds(1000, 1))


def test_workers_beyond_the_cores_take_turns() -> None:
    estimator = Estimator(5.0, 2)
    assert estimator.seconds(100, 2) == estimator.seconds(100, 1)
    assert estimator.seconds(100, 4) == pytest.approx(2 * estimator.seconds(100, 2))


def test_a_small_configuration_has_the_least_deadline_and_a_large_one_much_more() -> None:
    estimator = Estimator(5.0, 2)
    assert estimator.deadline(10, 1) == LEAST_DEADLINE
    assert estimator.deadline(10_000, 1) > 200


def test_one_slow_start_does_not_stick() -> None:
    estimator = Estimator(5.0, 2)
    usual = estimator.seconds(100, 1)
    estimator.learn(100, 40 * base_seconds(100))
    assert estimator.seconds(100, 1) > 10 * usual
    for _ in range(10):
        estimator.learn(100, base_seconds(100))
    assert estimator.seconds(100, 1) == pytest.approx(usual, rel=0.1)
