"""A replica that has no answer of the shared counters for a moment proves nothing; one that never has is a failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest

from aiops.actions.replicas.listed import Listed
from aiops.actions.replicas.proofs import UNSPENDABLE, Run
from aiops.verify.check import Check, Failed
from aiops.verify.replicas.tenant import Tenant


class Keys:
    def __init__(self) -> None:
        self.made: list[tuple[str, dict[str, int]]] = []

    def make(self, what: str, **limits: int) -> Tenant:
        self.made.append((what, limits))
        return Tenant(what, what, "sk-none", "alpha", 1.0)


class Ledger:
    """``alone``: of each try, how many requests of box-2 were counted elsewhere."""

    def __init__(self, *alone: int) -> None:
        self._alone = iter(alone)

    def alone(self, tenant: Tenant) -> Counter[str]:
        return Counter({"2": many} if (many := next(self._alone)) else {})


Try = Callable[..., tuple[Check, Keys]]


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> Try:
    """Of a proof that fails so often."""
    monkeypatch.setattr("aiops.actions.replicas.proofs.AGAIN_SECONDS", 0)

    def tried(ledger: Ledger, fails: int, costs: list[int | None]) -> tuple[Check, Keys]:
        keys, checks, left = Keys(), list[Check](), iter(range(fails))
        listed = Listed((), (), {"2": "box-2"})
        none = cast(Any, None)
        run = Run(none, none, cast(Any, keys), cast(Any, ledger), listed, none, "", checks.append, costs=costs)

        def act(tenant: Tenant) -> str:
            if next(left, None) is not None:
                raise Failed("9 passed")
            return "6 passed"

        run._try("limit:requests", "requests", act, rpm_limit=6)
        return checks[0], keys

    return tried


def test_what_was_counted_elsewhere_for_a_moment_is_tried_again_with_another_key(tries: Try) -> None:
    check, keys = tries(Ledger(3), 1, [5])
    assert (check.status, check.detail) == (
        "pass", "6 passed; counted elsewhere than in the counters that are shared: box-2 3 (before that)",
    )  # fmt: skip
    assert [what for what, _ in keys.made] == ["requests", "requests-2"]
    assert keys.made[0][1] == {"max_budget": UNSPENDABLE, "rpm_limit": 6}


def test_a_limit_that_the_shared_counters_let_pass_is_a_failure_at_once(tries: Try) -> None:
    check, keys = tries(Ledger(0), 1, [5])
    assert (check.status, check.detail, len(keys.made)) == ("fail", "9 passed", 1)


def test_a_replica_that_always_counts_elsewhere_is_named(tries: Try) -> None:
    check, keys = tries(Ledger(3, 3, 3), 3, [5])
    assert check.status == "fail" and "box-2 3, in each of 3 tries" in check.detail
    assert len(keys.made) == 3


def test_a_key_without_a_price_gets_no_budget_which_would_refuse_it(tries: Try) -> None:
    assert tries(Ledger(), 0, [None])[1].made == [("requests", {"rpm_limit": 6})]
