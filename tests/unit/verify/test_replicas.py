"""What answers of several replicas say of a limit and of a key that is blocked: each judgement can be red."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.verify.check import Failed, Skipped
from aiops.verify.replicas import limits, refusing
from aiops.verify.replicas.tenant import Replica, Reply

ONE, TWO = Replica("1", "box-1", "http://one"), Replica("2", "box-2", "http://two")
PASSED = Reply(ONE, 200, 100.0, 100.5)
REFUSED = Reply(TWO, 429, 110.0, 110.1, "full", limit="requests", wait=50)


def test_as_many_pass_as_a_limit_says_whoever_is_asked() -> None:
    burst = [PASSED, replace(PASSED, replica=TWO), *[REFUSED] * 4]
    assert limits.requests(2, burst) == "2 of 6 requests passed a limit of 2 (box-1 1, box-2 1), 4 were refused"
    assert limits.requests(3, burst)
    with pytest.raises(Failed, match=r"^2 of 6 requests passed a limit of 4 "):
        limits.requests(4, burst)
    with pytest.raises(Failed, match=r"but 1 were not answered: box-1: HTTP 500: oops"):
        limits.requests(2, [*burst, replace(PASSED, status=500, said="oops")])


def test_a_burst_that_takes_a_minute_proves_nothing_of_a_limit() -> None:
    with pytest.raises(Skipped, match="took 56 s"):
        limits.requests(2, [PASSED, replace(REFUSED, began=156.0)])


@pytest.mark.parametrize(
    ("wait", "ok"), [(49.7, False), (50, True), (51, True), (52, False), (None, False), (1, False)]
)
def test_a_refusal_says_when_there_is_room_again(wait: float | None, ok: bool) -> None:
    """The first request was counted between 100.0 and 100.5, so there is room between 160.0 and 160.5."""
    burst = [PASSED, replace(PASSED, began=103, ended=109), replace(REFUSED, wait=wait)]
    if ok:
        assert limits.retry_after(burst)
    else:
        with pytest.raises(Failed, match="box-2"):
            limits.retry_after(burst)
    for alone in (PASSED, REFUSED):
        with pytest.raises(Skipped):
            limits.retry_after([alone])


def test_the_refusal_that_may_be_asked_again_first_is_obeyed() -> None:
    later = replace(REFUSED, ended=112.0)
    assert limits.due([PASSED, later, REFUSED]) == (REFUSED, 160.1)
    assert limits.due([PASSED]) is None


def test_a_change_counts_within_a_second() -> None:
    assert refusing.in_time(1.0) == "refused after 1.00 s"
    for late in (1.01, PASSED):
        with pytest.raises(Failed):
            refusing.in_time(late)
