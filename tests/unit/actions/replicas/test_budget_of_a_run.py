"""What answers and ledger say of a budget that several replicas share: each judgement can be red."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from aiops.actions.replicas import budget
from aiops.actions.replicas.budget import Spending
from aiops.verify.check import Failed
from aiops.verify.replicas.tenant import Replica, Reply

ONE, TWO = Replica("1", "box-1", "http://one"), Replica("2", "box-2", "http://two")
PASSED = Reply(ONE, 200, 100.0, 100.5)
REFUSED = Reply(TWO, 429, 110.0, 110.1, "full", limit="requests", wait=50)
SPENT = Reply(TWO, 429, 110.0, 110.1, "spent", limit="budget", final=True)


@pytest.mark.parametrize("costs", [[], [0, 0]])
def test_where_nothing_was_spent_nothing_is_shown(costs: Sequence[int]) -> None:
    with pytest.raises(Failed, match="nothing was spent"):
        budget.overspent(100, costs)


@pytest.mark.parametrize(
    ("costs", "ok"),
    [([25] * 4, True), ([25] * 5, False), ([51, 51], True), ([103], False), ([10, 95], True), ([10, 90, 95], False)],
)
def test_a_budget_is_overspent_by_no_more_than_the_rest_of_its_last_request(costs: Sequence[int], ok: bool) -> None:
    if ok:
        assert budget.overspent(100, costs)
    else:
        with pytest.raises(Failed, match="times the budget"):
            budget.overspent(100, costs)


def test_nobody_is_refused_for_good_before_a_budget_is_spent_and_everybody_after_that() -> None:
    both = Spending([PASSED, replace(SPENT, replica=ONE), SPENT], 3)
    assert budget.refusals(100, 100, both, [ONE, TWO]) == "none before it was spent; then by box-1, box-2; 3 waited"
    with pytest.raises(Failed, match=r"^box-1 refused for good when \$0\.000000099 of \$0\.0000001 were spent"):
        budget.refusals(100, 99, both, [ONE, TWO])
    with pytest.raises(Failed, match=r"not refused for good by box-1 \(HTTP 200"):
        budget.refusals(100, 100, Spending([SPENT, PASSED], 0), [ONE, TWO])
    with pytest.raises(Failed, match=r"^\$0\.00 of \$0\.0000001 could be spent, and then: HTTP 429: full"):
        budget.refusals(100, 0, Spending([REFUSED], 0), [TWO])
    assert budget.heeded(SPENT)
    for reply in (PASSED, REFUSED):
        with pytest.raises(Failed):
            budget.heeded(reply)
