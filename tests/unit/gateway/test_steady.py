"""What is asked again and again counts as lost after a while, as well after a while, and never flaps."""

from __future__ import annotations

from aiops.gateway.shared.steady import FAILURES, LOST, MOST_SUCCESSES, SUCCESSES, WELL, Steady


def asked(steady: Steady, answers: str, begin: int = 1000) -> list[tuple[int, str]]:
    """Once a second, `+` or `-`; the changes, by second."""
    changes = []
    for second, answer in enumerate(answers, begin):
        changed = steady.well(second) if answer == "+" else steady.failed(second, "no answer")
        if changed:
            changes.append((second - begin, steady.is_now.state))
    return changes


def test_what_is_asked_first_is_known_at_once() -> None:
    assert asked(Steady(), "+") == [(0, WELL)]
    assert asked(Steady(), "-") == [(0, LOST)]


def test_a_blip_is_no_news_and_an_outage_is_one_since_its_first_failure() -> None:
    steady = Steady()
    assert asked(steady, "+" + "-" * (FAILURES - 1) + "+" + "-" * (FAILURES - 1) + "+") == [(0, WELL)]
    assert asked(steady, "-" * FAILURES, 2000) == [(FAILURES - 1, LOST)]
    assert steady.is_now.since == 2000


def test_it_is_back_after_some_answers_in_a_row() -> None:
    steady = Steady()
    asked(steady, "-")
    assert asked(steady, "+-" * 10) == []
    assert asked(steady, "+" * SUCCESSES, 2000) == [(SUCCESSES - 1, WELL)]


def test_answers_that_come_at_once_count_as_one() -> None:
    steady = Steady()
    steady.failed(1000, "no answer")
    assert not any(steady.well(1001 + hundredth / 100) for hundredth in range(20))
    assert steady.well(1002)


def test_one_that_comes_and_goes_has_to_stay_for_longer_each_time() -> None:
    steady = Steady()
    asked(steady, "+")
    # Ten minutes in which it is there for four seconds of every eight.
    changes = asked(steady, "----++++" * 75, 1001)
    assert [second for second, _ in changes] == [2, 5, 10, 15, 18]  # and from then on it is lost
    assert steady.is_now.state == LOST
    asked(steady, "+" * MOST_SUCCESSES, 3000)
    assert steady.is_now.state == WELL
    # It has stayed, and is trusted again.
    asked(steady, "+" * 90, 4000)
    assert asked(steady, "-" * FAILURES + "+" * SUCCESSES, 5000)[-1] == (FAILURES + SUCCESSES - 1, WELL)


def test_what_it_says_of_itself_is_so_at_once() -> None:
    steady = Steady()
    asked(steady, "+")
    assert steady.says("ahead", 2000, "of a newer aiops")
    assert not steady.says("ahead", 2001, "of a newer aiops")
    assert steady.is_now.since == 2000
    assert asked(steady, "+", 2002) == [(0, WELL)]
